package dbxcd.local.rights;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Who may do what, by the rules that Unity Catalog documents ("Permissions model concepts", "Manage object ownership"):
 *
 * <ul>
 *   <li>a privilege granted on a catalog or schema counts for everything in it; ALL PRIVILEGES is all but MANAGE;
 *   <li>to reach anything, or create something, USE CATALOG on its catalog and USE SCHEMA on its schema are needed
 *       besides;
 *   <li>an owner has all privileges on the object itself, not on what lies in it;
 *   <li>the owner of an object or of what it lies in, who has MANAGE on one of these, and an administrator of the
 *       metastore may grant, give away and drop it.
 * </ul>
 *
 * A user that is null is the workspace itself and may do everything.
 */
public final class Judge {
  private final Ledger ledger;
  private final Principals principals;

  public Judge(Ledger ledger, Principals principals) {
    this.ledger = ledger;
    this.principals = principals;
  }

  /** The first thing that a user lacks for what is needed; empty where nothing is missing. */
  public Optional<Need> missing(String user, Need need) {
    if (user == null || (need.privilege() == Privilege.MANAGE && isAdmin(user))) {
      return Optional.empty();
    }
    if (need.orAny() && sees(user, need.on())) {
      return Optional.empty();
    }
    return Stream.concat(usage(need), Stream.of(need)).filter(one -> !holds(user, one)).findFirst();
  }

  /** What has to be passed on the way to an object, from above; whoever makes something goes into what it is made in. */
  public static Stream<Need> usage(Need need) {
    Securable on = need.on();
    if (need.privilege() == null || !need.privilege().isToCreate()) {
      return usage(on);
    }
    return switch (on.kind()) {
      case CATALOG -> Stream.of(Need.of(Privilege.USE_CATALOG, on));
      case SCHEMA -> Stream.concat(usage(on), Stream.of(Need.of(Privilege.USE_SCHEMA, on)));
      default -> usage(on);
    };
  }

  private static Stream<Need> usage(Securable on) {
    return switch (on.name().size()) {
      case 2 -> Stream.of(Need.of(Privilege.USE_CATALOG, Securable.catalog(on.name().get(0))));
      case 3 ->
          Stream.of(
              Need.of(Privilege.USE_CATALOG, Securable.catalog(on.name().get(0))),
              Need.of(Privilege.USE_SCHEMA, Securable.schema(on.name().get(0), on.name().get(1))));
      default -> Stream.empty();
    };
  }

  private boolean holds(String user, Need need) {
    return need.privilege() == null ? owns(user, need.on()) : has(user, need.privilege(), need.on());
  }

  /** Whether the user, or a group of his, owns exactly this object. */
  public boolean owns(String user, Securable securable) {
    String owner = ledger.ownerOf(securable);
    return owner != null && principals.is(user, owner);
  }

  /** Whether the user administers the metastore. */
  public boolean isAdmin(String user) {
    return principals.is(user, Principals.ADMINS);
  }

  /** Whether the user has a privilege on an object, however he came by it. The way to the object is not looked at. */
  public boolean has(String user, Privilege privilege, Securable on) {
    if (privilege == Privilege.MANAGE) {
      return manages(user, on);
    }
    if (on.kind() == SecurableKind.METASTORE && isAdmin(user)) {
      return true;
    }
    return owns(user, on)
        || granted(user, on).anyMatch(held -> held.contains(privilege) || held.contains(Privilege.ALL_PRIVILEGES));
  }

  private boolean manages(String user, Securable on) {
    return isAdmin(user)
        || owns(user, on)
        || on.ancestors().stream().anyMatch(ancestor -> owns(user, ancestor))
        || granted(user, on).anyMatch(held -> held.contains(Privilege.MANAGE));
  }

  private Stream<Set<Privilege>> granted(String user, Securable on) {
    List<String> names = List.copyOf(principals.namesOf(user));
    return Stream.concat(Stream.of(on), on.ancestors().stream())
        .flatMap(place -> names.stream().map(name -> ledger.granted(name, place)));
  }

  /**
   * Whether information_schema and the SHOW statements tell a user of an object: he may BROWSE the catalog, or gets to
   * it and has a privilege on it.
   */
  public boolean sees(String user, Securable securable) {
    if (user == null || has(user, Privilege.MANAGE, securable)) {
      return true;
    }
    Securable catalog = Securable.catalog(securable.name().get(0));
    if (granted(user, catalog).anyMatch(held -> held.contains(Privilege.BROWSE))) {
      return true;
    }
    return usage(securable).allMatch(need -> holds(user, need)) && hasAny(user, securable);
  }

  private boolean hasAny(String user, Securable on) {
    Set<Privilege> wanted = EnumSet.noneOf(Privilege.class);
    Arrays.stream(Privilege.values()).filter(p -> p.isApplicableTo(on.kind())).forEach(wanted::add);
    return owns(user, on) || granted(user, on).anyMatch(held -> held.stream().anyMatch(wanted::contains));
  }
}
