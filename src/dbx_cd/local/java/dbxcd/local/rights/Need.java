package dbxcd.local.rights;

/** What a statement needs on one object; without a privilege it is to own it. */
public record Need(Privilege privilege, Securable on) {
  public static Need of(Privilege privilege, Securable on) {
    return new Need(privilege, on);
  }

  /** To own it: MANAGE is not enough (documentation, ALTER VIEW). */
  public static Need ownership(Securable on) {
    return new Need(null, on);
  }

  /** As the platform says that it is missing. */
  public String denial() {
    return privilege == null
        ? "User is not an owner of " + on + "."
        : "User does not have " + privilege.sql() + " on " + on + ".";
  }
}
