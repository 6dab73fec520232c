package dbxcd.local.rights;

import static dbxcd.local.rights.SecurableKind.CATALOG;
import static dbxcd.local.rights.SecurableKind.FUNCTION;
import static dbxcd.local.rights.SecurableKind.METASTORE;
import static dbxcd.local.rights.SecurableKind.SCHEMA;
import static dbxcd.local.rights.SecurableKind.TABLE;
import static dbxcd.local.rights.SecurableKind.VOLUME;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** The privileges of Unity Catalog and what each may be granted on (documentation, "Privileges reference"). */
public enum Privilege {
  USE_CATALOG(CATALOG),
  USE_SCHEMA(CATALOG, SCHEMA),
  CREATE_CATALOG(METASTORE),
  CREATE_SCHEMA(CATALOG),
  CREATE_TABLE(CATALOG, SCHEMA),
  CREATE_VOLUME(CATALOG, SCHEMA),
  CREATE_FUNCTION(CATALOG, SCHEMA),
  SELECT(CATALOG, SCHEMA, TABLE),
  MODIFY(CATALOG, SCHEMA, TABLE),
  EXECUTE(CATALOG, SCHEMA, FUNCTION),
  READ_VOLUME(CATALOG, SCHEMA, VOLUME),
  WRITE_VOLUME(CATALOG, SCHEMA, VOLUME),
  BROWSE(CATALOG),
  APPLY_TAG(CATALOG, SCHEMA, TABLE, VOLUME, FUNCTION),
  MANAGE(CATALOG, SCHEMA, TABLE, VOLUME, FUNCTION),
  ALL_PRIVILEGES(CATALOG, SCHEMA, TABLE, VOLUME, FUNCTION);

  private final Set<SecurableKind> applicable;

  Privilege(SecurableKind first, SecurableKind... others) {
    applicable = EnumSet.of(first, others);
  }

  /** Whether it can be granted on such an object, there or for what lies below. */
  public boolean isApplicableTo(SecurableKind kind) {
    return applicable.contains(kind);
  }

  /** Whether it lets somebody make something in what it is granted on. */
  public boolean isToCreate() {
    return name().startsWith("CREATE_");
  }

  /** As it is written in SQL: {@code USE SCHEMA}. */
  public String sql() {
    return name().replace('_', ' ');
  }

  /** The privilege of that name, in the spelling of SQL or of the REST API. */
  public static Optional<Privilege> named(String text) {
    String wanted = text.strip().toUpperCase(Locale.ROOT).replaceAll("[\\s_]+", "_");
    return Arrays.stream(values()).filter(privilege -> privilege.name().equals(wanted)).findFirst();
  }
}
