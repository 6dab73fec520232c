package dbxcd.local.rights;

/**
 * What a statement needs on one object; without a privilege it is to own it.
 *
 * @param orAny any other privilege on the object will do as well.
 */
public record Need(Privilege privilege, Securable on, boolean orAny) {
  public static Need of(Privilege privilege, Securable on) {
    return new Need(privilege, on, false);
  }

  /** To be told of an object; who may not is told that a privilege to read it would do. */
  public static Need sight(Securable on) {
    return new Need(
        switch (on.kind()) {
          case CATALOG -> Privilege.USE_CATALOG;
          case SCHEMA -> Privilege.USE_SCHEMA;
          case FUNCTION -> Privilege.EXECUTE;
          case VOLUME -> Privilege.READ_VOLUME;
          default -> Privilege.SELECT;
        },
        on,
        true);
  }

  /** To own it: MANAGE is not enough (documentation, ALTER VIEW). */
  public static Need ownership(Securable on) {
    return new Need(null, on, false);
  }

  /** As the platform says that it is missing. */
  public String denial() {
    return privilege == null
        ? "User is not an owner of " + on + "."
        : "User does not have " + privilege.sql() + " on " + on + ".";
  }
}
