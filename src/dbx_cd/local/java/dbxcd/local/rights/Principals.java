package dbxcd.local.rights;

import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The users and groups that exist, as the workspace says; where nobody has said it, every name will do. */
public final class Principals {
  /** Its members administer the metastore. */
  public static final String ADMINS = "admins";

  /** Everybody. */
  public static final String ALL_USERS = "account users";

  private final Map<String, Set<String>> groupsOf = new HashMap<>();
  private final Set<String> groups = new HashSet<>(List.of(ADMINS, ALL_USERS));
  private boolean known;

  /** Makes a user known, with the groups that he is a member of. */
  public synchronized void put(String user, Collection<String> memberOf) {
    groupsOf.put(user, Set.copyOf(memberOf));
    groups.addAll(memberOf);
    known = true;
  }

  /** Whether something can be granted to it. */
  public synchronized boolean exists(String principal) {
    return !known || groupsOf.containsKey(principal) || groups.contains(principal);
  }

  /** The groups of a user as they were given; everybody is in one more. */
  public synchronized Set<String> groupsOf(String user) {
    return groupsOf.getOrDefault(user, Set.of());
  }

  /** Whether a user is that principal or a member of it. */
  public boolean is(String user, String principal) {
    return user.equals(principal) || principal.equals(ALL_USERS) || groupsOf(user).contains(principal);
  }

  /** The names under which a user has rights. */
  public Set<String> namesOf(String user) {
    Set<String> names = new HashSet<>(groupsOf(user));
    names.add(user);
    names.add(ALL_USERS);
    return names;
  }
}
