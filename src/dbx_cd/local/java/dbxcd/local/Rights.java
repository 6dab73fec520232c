package dbxcd.local;

import dbxcd.local.rights.Ledger.Grant;
import dbxcd.local.rights.Need;
import dbxcd.local.rights.Privilege;
import dbxcd.local.rights.Securable;
import dbxcd.local.rights.SecurableKind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import org.apache.spark.sql.SparkSession;

/**
 * What Python and the emulated statements ask and change about rights. All take the session first, which SQL's
 * {@code reflect()} cannot pass.
 */
public final class Rights {
  private Rights() {}

  static RightsState of(SparkSession session) {
    return Registry.of(session).rights();
  }

  // ---------------------------------------------------------------- for the workspace itself

  /** Makes a user known, with his groups. */
  public static void putUser(SparkSession session, String user, Collection<String> groups) {
    of(session).principals().put(user, List.copyOf(groups));
  }

  /** Grants without asking who does. */
  public static void grantAsWorkspace(
      SparkSession session, String principal, String privilege, String kind, List<String> name) {
    Securable on = securable(session, kind, name);
    put(session, new Grant(principal, applicable(session, privilege, on), on, null));
  }

  public static void revokeAsWorkspace(
      SparkSession session, String principal, String privilege, String kind, List<String> name) {
    Securable on = securable(session, kind, name);
    RightsState state = of(session);
    state.change(() -> state.ledger().revoke(principal, applicable(session, privilege, on), on));
  }

  public static void setOwnerAsWorkspace(SparkSession session, String owner, String kind, List<String> name) {
    Securable of = securable(session, kind, name);
    RightsState state = of(session);
    state.change(() -> state.ledger().setOwner(of, owner));
  }

  /** Who owns it; null where that is nobody. */
  public static String ownerOf(SparkSession session, String kind, List<String> name) {
    return of(session).ledger().ownerOf(securable(session, kind, name));
  }

  /** Refuses a user who lacks a privilege, or with {@code OWNERSHIP} does not own the object; null may everything. */
  public static void requireOf(
      SparkSession session, String user, String privilege, String kind, List<String> name) {
    require(session, user, need(privilege, securable(session, kind, name)));
  }

  /** Whether a user is told of an object. */
  static boolean isSeen(SparkSession session, String user, String kind, List<String> name) {
    return of(session).judge().sees(user, securable(session, kind, name));
  }

  /** Says who has made an object, which then is his. */
  public static void created(SparkSession session, String kind, List<String> name) {
    Securable made = securable(session, kind, name);
    RightsState state = of(session);
    state.change(() -> state.ledger().created(made, SessionUser.of(session)));
  }

  /** Says that an object is gone, and what was granted on it with it. */
  public static void dropped(SparkSession session, String kind, List<String> name) {
    Securable gone = securable(session, kind, name);
    RightsState state = of(session);
    state.change(() -> state.ledger().dropped(gone));
  }

  // ---------------------------------------------------------------- for statements

  /** Refuses a user who lacks what is needed. */
  static void require(SparkSession session, String user, Need need) {
    of(session).judge().missing(user, need).ifPresent(missing -> {
      throw Denials.insufficient(missing);
    });
  }

  /** GRANT: all of it or, where one privilege does not fit, nothing. */
  public static void grant(
      SparkSession session, List<String> privileges, String kind, List<String> name, String principal) {
    Securable on = changeable(session, kind, name, principal);
    List<Privilege> all = privileges.stream().map(p -> applicable(session, p, on)).toList();
    String grantor = SessionUser.of(session);
    all.forEach(privilege -> put(session, new Grant(principal, privilege, on, grantor)));
  }

  /** REVOKE; what was not granted is revoked without an error, as on the platform. */
  public static void revoke(
      SparkSession session, List<String> privileges, String kind, List<String> name, String principal) {
    Securable on = changeable(session, kind, name, principal);
    List<Privilege> all = privileges.stream().map(p -> applicable(session, p, on)).toList();
    RightsState state = of(session);
    state.change(() -> all.forEach(privilege -> state.ledger().revoke(principal, privilege, on)));
  }

  /** SET OWNER TO. */
  public static void setOwner(SparkSession session, String kind, List<String> name, String principal) {
    Securable of = changeable(session, kind, name, principal);
    RightsState state = of(session);
    state.change(() -> state.ledger().setOwner(of, principal));
  }

  private static Securable changeable(SparkSession session, String kind, List<String> name, String principal) {
    Securable on = SecurableNames.requireExisting(session, securable(session, kind, name));
    require(session, SessionUser.of(session), Need.of(Privilege.MANAGE, on));
    if (!of(session).principals().exists(principal)) {
      throw Denials.error(
          "PRINCIPAL_DOES_NOT_EXIST", "Could not find principal with name " + principal + ".", "42704");
    }
    return on;
  }

  /**
   * SHOW GRANTS: principal, privilege, kind and name of each, those on what the object lies in among them. Users may
   * ask about themselves; for the rest MANAGE is needed.
   *
   * @param principal whose; null for everybody's
   */
  public static List<List<String>> showGrants(
      SparkSession session, String principal, String kind, List<String> name) {
    Securable on = SecurableNames.requireExisting(session, securable(session, kind, name));
    RightsState state = of(session);
    String user = SessionUser.of(session);
    if (principal == null || user == null || !state.principals().is(user, principal)) {
      require(session, user, Need.of(Privilege.MANAGE, on));
    }
    List<Securable> places = new ArrayList<>(List.of(on));
    places.addAll(on.ancestors());
    return places.stream()
        .flatMap(place -> state.ledger().grantsOn(place).stream())
        .filter(grant -> principal == null || grant.principal().equals(principal))
        .map(g -> List.of(g.principal(), g.privilege().sql(), g.on().kind().name(), g.on().key()))
        .toList();
  }

  private static void put(SparkSession session, Grant grant) {
    RightsState state = of(session);
    state.change(() -> state.ledger().grant(grant));
  }

  static Need need(String privilege, Securable on) {
    return privilege.equals("OWNERSHIP") ? Need.ownership(on) : Need.of(privilege(privilege), on);
  }

  private static Privilege privilege(String text) {
    return Privilege.named(text)
        .orElseThrow(
            () ->
                Denials.error(
                    "INVALID_PARAMETER_VALUE", "'" + text + "' is no privilege that this workspace knows.", "22023"));
  }

  private static Privilege applicable(SparkSession session, String text, Securable on) {
    Privilege privilege = privilege(text);
    boolean isWritingAView = privilege == Privilege.MODIFY && SecurableNames.isView(session, on);
    if (!privilege.isApplicableTo(on.kind()) || isWritingAView) {
      throw Denials.error(
          "INVALID_PARAMETER_VALUE",
          "Privilege " + privilege.sql() + " is not applicable to this entity: " + (isWritingAView ? "View '" + on.key() + "'" : on) + ".",
          "22023");
    }
    return privilege;
  }

  static Securable securable(SparkSession session, String kind, List<String> name) {
    SecurableKind known =
        Arrays.stream(SecurableKind.values())
            .filter(one -> one.name().equalsIgnoreCase(kind))
            .findFirst()
            .orElseThrow(() -> Denials.error("INVALID_PARAMETER_VALUE", "There is no securable of the kind " + kind + ".", "22023"));
    try {
      return SecurableNames.named(session, known, List.copyOf(name));
    } catch (IllegalArgumentException e) {
      throw Denials.error("INVALID_PARAMETER_VALUE", e.getMessage() + ".", "22023");
    }
  }
}
