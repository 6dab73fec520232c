package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.Contents.StoredTable;
import dbxcd.local.Contents.StoredView;
import dbxcd.local.Contents.StoredVolume;
import dbxcd.local.rights.Securable;
import java.io.File;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.Relation;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.catalog.View;
import org.apache.spark.sql.types.DataType;

/**
 * Computes the rows of the information_schema relations from the registry and Delta's logs: of what the session's user
 * sees, and no other.
 */
final class InformationRows {
  private final List<String> catalogs;
  private final RelationFilter filter;
  private final Registry registry;
  private final SeenObjects seen;
  private final List<Object[]> rows = new ArrayList<>();

  InformationRows(List<String> catalogs, RelationFilter filter) {
    this.catalogs = catalogs;
    this.filter = filter;
    this.registry = Registry.of(SparkSession.active());
    this.seen = SeenObjects.of(SparkSession.active());
  }

  List<Object[]> of(String relation) {
    switch (relation) {
      case "catalogs" -> catalogs();
      case "schemata" -> schemas();
      case "tables", "views", "columns" -> relations(relation);
      case "table_tags", "column_tags", "table_constraints", "key_column_usage", "referential_constraints" ->
          new TagAndKeyRows(registry, catalogs, rows::add).add(relation);
      case "volumes" -> volumes();
      case "routines", "parameters", "routine_columns" ->
          new RoutineRows(SparkSession.active(), catalogs, rows::add).add(relation);
      case "catalog_privileges", "schema_privileges", "table_privileges", "routine_privileges", "volume_privileges" ->
          new PrivilegeRows(registry, seen, rows::add).add(relation, catalogs);
      default -> {} // column_masks, row_filters: always empty
    }
    return rows;
  }

  private void add(Object... row) {
    rows.add(row);
  }

  private void catalogs() {
    catalogs.stream()
        .filter(seen::seesCatalog)
        .forEach(c -> add(c, seen.owner(Securable.catalog(c)), registry.catalogs().comment(c)));
  }

  private void schemas() {
    for (String catalog : catalogs) {
      for (Namespace n : registry.namespaces(catalog)) {
        if (seen.seesSchema(n)) {
          String owner = seen.owner(Securable.schema(catalog, n.schema()));
          add(catalog, n.schema(), owner, n.comment().isEmpty() ? null : n.comment());
        }
      }
      if (seen.seesCatalog(catalog)) {
        add(catalog, InformationSchema.NAME, SeenObjects.WORKSPACE, null);
      }
    }
  }

  private void volumes() {
    for (StoredVolume v : registry.volumes().all()) {
      Securable volume = SecurableNames.volume(v);
      if (catalogs.contains(v.catalog()) && seen.sees(volume)) {
        String owner = seen.owner(volume);
        String by = v.createdBy() == null ? SeenObjects.WORKSPACE : v.createdBy();
        long created = micros(v.created());
        String location = registry.volumes().folder(v).toUri().toString();
        add(
            v.catalog(), v.schema(), v.name(), "MANAGED", owner, v.comment(), location, created, by,
            created, by);
      }
    }
  }

  // ---------------------------------------------------------------- tables, views, columns

  private void relations(String relation) {
    for (String catalogName : catalogs) {
      if (!filter.admits(Map.of("table_catalog", catalogName))) {
        continue;
      }
      LocalCatalog catalog =
          (LocalCatalog)
              SparkSession.active().sessionState().catalogManager().catalog(catalogName);
      for (Namespace namespace : registry.namespaces(catalogName)) {
        if (filter.admits(known(namespace, null))) {
          relationsOf(catalog, namespace, relation);
        }
      }
    }
  }

  private static Map<String, String> known(Namespace namespace, String table) {
    return table == null
        ? Map.of("table_catalog", namespace.catalog(), "table_schema", namespace.schema())
        : Map.of(
            "table_catalog", namespace.catalog(),
            "table_schema", namespace.schema(),
            "table_name", table);
  }

  private void relationsOf(LocalCatalog catalog, Namespace namespace, String relation) {
    String[] schema = {namespace.schema()};
    for (Identifier ident : identifiers(catalog, schema, relation)) {
      if (!filter.admits(known(namespace, ident.name()))) {
        continue;
      }
      Relation loaded;
      Column[] columns;
      try {
        loaded = catalog.loadRelation(ident);
        columns = loaded.columns();
      } catch (Exception e) {
        // Its files are gone, or another session is dropping it at this moment.
        if (relation.equals("tables")) {
          addStoredTable(namespace, ident.name(), null);
        }
        continue;
      }
      switch (relation) {
        case "views" -> addView(namespace, ident.name(), (View) loaded);
        case "columns" -> addColumns(namespace, ident.name(), columns);
        default -> addTable(namespace, ident.name(), loaded);
      }
    }
  }

  private static List<Identifier> identifiers(
      LocalCatalog catalog, String[] schema, String relation) {
    try {
      Stream<Identifier> views = Stream.of(catalog.listViews(schema));
      return relation.equals("views")
          ? views.toList()
          : Stream.concat(views, Stream.of(catalog.listTables(schema))).toList();
    } catch (NoSuchNamespaceException e) {
      return List.of(); // dropped by another session
    }
  }

  /** The text is for whoever owns the view (documentation, "VIEWS"). */
  private void addView(Namespace n, String name, View view) {
    String text = seen.owns(Securable.table(n.catalog(), n.schema(), name)) ? view.queryText() : null;
    add(n.catalog(), n.schema(), name, text, "NONE", "NO", "NO", null);
  }

  private void addColumns(Namespace n, String name, Column[] columns) {
    Column[] declared = DeclaredTypes.of(columns);
    for (int position = 0; position < columns.length; position++) {
      Column column = columns[position];
      DataType type = declared[position].dataType();
      add(
          n.catalog(),
          n.schema(),
          name,
          column.name(),
          position + 1,
          column.defaultValue() == null ? null : column.defaultValue().getSql(),
          column.nullable() ? "YES" : "NO",
          type.catalogString(),
          type.sql().replaceAll("[(<].*", ""),
          column.comment());
    }
  }

  private void addTable(Namespace n, String name, Relation relation) {
    Address address = new Address(n.database(), name);
    String comment = relation.properties().get(TableCatalog.PROP_COMMENT);
    if (relation instanceof View) {
      StoredView view = registry.storedView(address).orElse(null);
      if (view != null) {
        addTableRow(n, name, "VIEW", comment, view.created(), view.altered(), null, null);
      }
      return;
    }
    addStoredTable(n, name, comment);
  }

  private void addStoredTable(Namespace n, String name, String comment) {
    Optional<StoredTable> stored = registry.table(new Address(n.database(), name));
    stored.ifPresent(
        table ->
            addTableRow(
                n,
                name,
                registry.clones().typeOf(table),
                comment,
                table.createTime(),
                lastAltered(table),
                table.provider() == null ? null : table.provider().toUpperCase(Locale.ROOT),
                table.location()));
  }

  private void addTableRow(
      Namespace n,
      String name,
      String type,
      String comment,
      long created,
      long altered,
      String format,
      String path) {
    String owner = seen.owner(Securable.table(n.catalog(), n.schema(), name));
    add(
        n.catalog(),
        n.schema(),
        name,
        type,
        type.equals("VIEW") ? "NO" : "YES",
        owner,
        comment,
        micros(created),
        owner,
        micros(altered),
        owner,
        format,
        path);
  }

  private static long micros(long millis) {
    return millis * 1000;
  }

  /** Every commit adds a file to the log's folder; a table of another format has no such folder. */
  private static long lastAltered(StoredTable table) {
    File log = new File(URI.create(table.location()).getPath(), "_delta_log");
    return log.exists() ? log.lastModified() : table.createTime();
  }
}
