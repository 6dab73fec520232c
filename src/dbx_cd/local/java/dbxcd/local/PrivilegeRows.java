package dbxcd.local;

import static dbxcd.local.rights.SecurableKind.CATALOG;
import static dbxcd.local.rights.SecurableKind.FUNCTION;
import static dbxcd.local.rights.SecurableKind.SCHEMA;
import static dbxcd.local.rights.SecurableKind.TABLE;
import static dbxcd.local.rights.SecurableKind.VOLUME;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.rights.Ledger.Grant;
import dbxcd.local.rights.Securable;
import dbxcd.local.rights.SecurableKind;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * The relations of information_schema about what was granted: on each object that the user sees, and on what it lies
 * in. Whoever owns the object is shown all of it, others what they have themselves (documentation,
 * "TABLE_PRIVILEGES").
 */
final class PrivilegeRows {
  /** The relations and their columns, as the Databricks SQL reference lists them. */
  static final Map<String, String> RELATIONS = new LinkedHashMap<>();

  /** Who granted what the workspace itself has granted. */
  private static final String NOBODY = "System user";

  private static final Map<String, SecurableKind> KINDS = new LinkedHashMap<>();

  static {
    relation("catalog_privileges", CATALOG, "catalog_name string, ");
    relation("schema_privileges", SCHEMA, "catalog_name string, schema_name string, ");
    relation("table_privileges", TABLE, "table_catalog string, table_schema string, table_name string, ");
    relation(
        "routine_privileges",
        FUNCTION,
        "specific_catalog string, specific_schema string, specific_name string, "
            + "routine_catalog string, routine_schema string, routine_name string, ");
    relation("volume_privileges", VOLUME, "volume_catalog string, volume_schema string, volume_name string, ");
  }

  private final Registry registry;
  private final SeenObjects seen;
  private final Consumer<Object[]> rows;
  private final Map<Securable, List<Grant>> granted = new HashMap<>();

  PrivilegeRows(Registry registry, SeenObjects seen, Consumer<Object[]> rows) {
    this.registry = registry;
    this.seen = seen;
    this.rows = rows;
    registry.rights().ledger().grants().forEach(g -> granted.computeIfAbsent(g.on(), on -> new ArrayList<>()).add(g));
  }

  private static void relation(String name, SecurableKind kind, String object) {
    KINDS.put(name, kind);
    RELATIONS.put(
        name,
        "grantor string, grantee string, "
            + object
            + "privilege_type string, is_grantable string, inherited_from string");
  }

  void add(String relation, List<String> catalogs) {
    SecurableKind kind = KINDS.get(relation);
    objects(kind, catalogs).filter(seen::sees).forEach(object -> addAll(object, kind));
  }

  private Stream<Securable> objects(SecurableKind kind, List<String> catalogs) {
    return switch (kind) {
      case CATALOG -> catalogs.stream().map(Securable::catalog);
      case SCHEMA -> schemas(catalogs).map(n -> Securable.schema(n.catalog(), n.schema()));
      case TABLE -> schemas(catalogs).flatMap(this::relations);
      case VOLUME ->
          registry.volumes().all().stream()
              .filter(volume -> catalogs.contains(volume.catalog()))
              .map(SecurableNames::volume);
      default -> schemas(catalogs).flatMap(this::functions);
    };
  }

  private Stream<Namespace> schemas(List<String> catalogs) {
    return catalogs.stream().flatMap(catalog -> registry.namespaces(catalog).stream());
  }

  private Stream<Securable> relations(Namespace n) {
    return Stream.concat(registry.tableNames(n.database()).stream(), registry.views().names(n.database()).stream())
        .map(name -> SecurableNames.table(registry, new Address(n.database(), name)));
  }

  private Stream<Securable> functions(Namespace n) {
    return registry.functions().all().stream()
        .filter(function -> function.database().equals(n.database()))
        .map(function -> SecurableNames.function(registry, n.database(), function.name()));
  }

  /** What was granted on the object, then what it inherits. */
  private void addAll(Securable object, SecurableKind kind) {
    boolean all = seen.seesAllGrants(object);
    Stream.concat(Stream.of(object), object.ancestors().stream())
        .flatMap(place -> granted.getOrDefault(place, List.of()).stream())
        .filter(grant -> grant.privilege().isApplicableTo(kind) && (all || seen.is(grant.principal())))
        .forEach(grant -> rows.accept(row(grant, object)));
  }

  private static Object[] row(Grant grant, Securable object) {
    String from = grant.on().equals(object) ? "NONE" : grant.on().kind().name();
    List<Object> row = new ArrayList<>();
    row.add(grant.grantor() == null ? NOBODY : grant.grantor());
    row.add(grant.principal());
    row.addAll(object.name());
    if (object.kind() == FUNCTION) {
      row.addAll(object.name()); // its specific name is its name
    }
    row.addAll(List.of(grant.privilege().name(), "NO", from));
    return row.toArray();
  }
}
