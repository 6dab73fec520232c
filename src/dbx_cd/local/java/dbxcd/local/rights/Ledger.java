package dbxcd.local.rights;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.UnaryOperator;

/** Who owns what, and what was granted to whom. Only states; what follows from it is decided by {@link Judge}. */
public final class Ledger {
  /** One privilege that was granted. */
  public record Grant(String principal, Privilege privilege, Securable on, String grantor) {}

  /** Who owns an object. */
  public record Owner(Securable of, String principal) {}

  private final Map<Securable, String> owners = new HashMap<>();
  private final Map<Securable, Map<String, Map<Privilege, String>>> grants = new HashMap<>();

  /** Takes what an earlier start left. */
  public synchronized void restore(Collection<Owner> storedOwners, Collection<Grant> storedGrants) {
    storedOwners.forEach(owner -> owners.put(owner.of(), owner.principal()));
    storedGrants.forEach(this::put);
  }

  public synchronized List<Owner> owners() {
    return owners.entrySet().stream()
        .map(entry -> new Owner(entry.getKey(), entry.getValue()))
        .sorted(Comparator.comparing(owner -> owner.of().toString()))
        .toList();
  }

  /** Everything that was granted, in a stable order. */
  public synchronized List<Grant> grants() {
    return grants.keySet().stream()
        .sorted(Comparator.comparing(Securable::toString))
        .flatMap(on -> grantsOn(on).stream())
        .toList();
  }

  /** What was granted on exactly this object, by principal and privilege. */
  public synchronized List<Grant> grantsOn(Securable on) {
    List<Grant> found = new ArrayList<>();
    new TreeMap<>(grants.getOrDefault(on, Map.of()))
        .forEach(
            (principal, privileges) ->
                new TreeMap<>(privileges)
                    .forEach((privilege, grantor) -> found.add(new Grant(principal, privilege, on, grantor))));
    return found;
  }

  /** What was granted to one principal on exactly this object. */
  public synchronized Set<Privilege> granted(String principal, Securable on) {
    Set<Privilege> none = EnumSet.noneOf(Privilege.class);
    none.addAll(grants.getOrDefault(on, Map.of()).getOrDefault(principal, Map.of()).keySet());
    return none;
  }

  /** Who owns it; null where nobody is known to, such as for what the workspace itself has made. */
  public synchronized String ownerOf(Securable of) {
    return owners.get(of);
  }

  public synchronized void setOwner(Securable of, String principal) {
    owners.put(of, principal);
  }

  /** Its creator owns it; what is replaced keeps its owner. */
  public synchronized void created(Securable what, String creator) {
    if (creator != null) {
      owners.putIfAbsent(what, creator);
    }
  }

  public synchronized void grant(Grant grant) {
    put(grant);
  }

  private void put(Grant grant) {
    grants
        .computeIfAbsent(grant.on(), on -> new HashMap<>())
        .computeIfAbsent(grant.principal(), principal -> new HashMap<>())
        .put(grant.privilege(), grant.grantor());
  }

  /** Takes a privilege back; taking back what was not granted changes nothing, as on the platform. */
  public synchronized void revoke(String principal, Privilege privilege, Securable on) {
    Map<Privilege, String> held = grants.getOrDefault(on, Map.of()).get(principal);
    if (held != null) {
      held.remove(privilege);
    }
  }

  /** Takes back everything that was granted on exactly this object. */
  public synchronized void revokeAll(Securable on) {
    grants.remove(on);
  }

  /** It is gone, with all that lay in it. */
  public synchronized void dropped(Securable what) {
    owners.keySet().removeIf(of -> of.isWithin(what));
    grants.keySet().removeIf(on -> on.isWithin(what));
  }

  /** It has another name now; owner and grants stay. */
  public synchronized void renamed(Securable from, Securable to) {
    UnaryOperator<Securable> move = securable -> securable.equals(from) ? to : securable;
    if (owners.containsKey(from)) {
      owners.put(move.apply(from), owners.remove(from));
    }
    if (grants.containsKey(from)) {
      grants.put(move.apply(from), grants.remove(from));
    }
  }
}
