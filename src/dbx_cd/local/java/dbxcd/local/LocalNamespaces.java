package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Namespace;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.analysis.NamespaceAlreadyExistsException;
import org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException;
import org.apache.spark.sql.catalyst.analysis.NonEmptyNamespaceException;
import org.apache.spark.sql.connector.catalog.CatalogPlugin;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.NamespaceChange;
import org.apache.spark.sql.connector.catalog.StagingTableCatalog;
import org.apache.spark.sql.connector.catalog.SupportsNamespaces;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/**
 * The names of a catalog: its schemas, and how {@code stg.shop.orders} is found in the session
 * catalog, as the table {@code orders} of the database {@code stg__shop}.
 */
abstract class LocalNamespaces implements SupportsNamespaces {
  static final String DEFAULT_SCHEMA = "default";

  private String name;

  @Override
  public void initialize(String name, CaseInsensitiveStringMap options) {
    this.name = name.toLowerCase(Locale.ROOT);
    requireDefaultSchema();
  }

  /** Creates the schema that every catalog has, where it is missing. */
  void requireDefaultSchema() {
    String[] namespace = {DEFAULT_SCHEMA};
    try {
      if (!namespaceExists(namespace)) {
        createNamespace(namespace, new HashMap<>());
      }
    } catch (NamespaceAlreadyExistsException e) {
      // Sessions initialize their own instance of a catalog: another one was first.
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String[] defaultNamespace() {
    return new String[] {DEFAULT_SCHEMA};
  }

  // ---------------------------------------------------------------- names

  Registry registry() {
    return Registry.of(SparkSession.active());
  }

  /**
   * The session catalog, which Spark looks up in the settings of the thread's active session. A thread without one (a
   * new client thread whose first call is a DataFrame writer) would get Spark's own session catalog instead of Delta's.
   */
  private CatalogPlugin delta() {
    SparkSession session = SparkSession.active();
    if (SparkSession.getActiveSession().isEmpty()) {
      SparkSession.setActiveSession(session);
    }
    return session.sessionState().catalogManager().catalog("spark_catalog");
  }

  StagingTableCatalog tables() {
    return (StagingTableCatalog) delta();
  }

  private SupportsNamespaces databases() {
    return (SupportsNamespaces) delta();
  }

  /** The schema of a namespace, or null when it cannot be one of this catalog. */
  private String schema(String[] namespace) {
    if (namespace.length == 1) {
      return namespace[0].toLowerCase(Locale.ROOT);
    }
    boolean qualified = namespace.length == 2 && namespace[0].equalsIgnoreCase(name);
    return qualified ? namespace[1].toLowerCase(Locale.ROOT) : null;
  }

  String[] physical(String[] namespace) {
    String schema = schema(namespace);
    return schema == null
        ? namespace
        : new String[] {PhysicalNames.database(name, schema)};
  }

  /** Names such as delta.`/path` stay as they are: Delta resolves them itself. */
  Identifier physical(Identifier ident) {
    boolean path = ident.name().contains("/") && !namespaceExists(ident.namespace());
    return path ? ident : Identifier.of(physical(ident.namespace()), ident.name());
  }

  Address address(Identifier ident) {
    String database = String.join(".", physical(ident.namespace()));
    return new Address(database, ident.name().toLowerCase(Locale.ROOT));
  }

  Identifier requireNamespace(Identifier ident) throws NoSuchNamespaceException {
    Identifier physical = physical(ident);
    if (physical != ident && !namespaceExists(ident.namespace())) {
      throw new NoSuchNamespaceException(qualified(ident.namespace()));
    }
    return physical;
  }

  String[] qualified(String[] namespace) {
    if (namespace.length == 2 && namespace[0].equalsIgnoreCase(name)) {
      return namespace;
    }
    return Stream.concat(Stream.of(name), Arrays.stream(namespace)).toArray(String[]::new);
  }

  boolean isInformationSchema(String[] namespace) {
    return InformationSchema.NAME.equals(schema(namespace));
  }

  // ---------------------------------------------------------------- namespaces

  @Override
  public String[][] listNamespaces() {
    SeenObjects seen = SeenObjects.of(SparkSession.active());
    Stream<String> schemas = registry().namespaces(name).stream().filter(seen::seesSchema).map(Namespace::schema);
    Stream<String> own = seen.seesCatalog(name) ? Stream.of(InformationSchema.NAME) : Stream.empty();
    return Stream.concat(schemas, own)
        .sorted()
        .map(schema -> new String[] {schema})
        .toArray(String[][]::new);
  }

  @Override
  public String[][] listNamespaces(String[] namespace) throws NoSuchNamespaceException {
    if (namespace.length == 0) {
      return listNamespaces();
    }
    if (!namespaceExists(namespace)) {
      throw new NoSuchNamespaceException(qualified(namespace));
    }
    return new String[0][];
  }

  @Override
  public boolean namespaceExists(String[] namespace) {
    return isInformationSchema(namespace)
        || (schema(namespace) != null && registry().hasDatabase(physical(namespace)[0]));
  }

  @Override
  public Map<String, String> loadNamespaceMetadata(String[] namespace)
      throws NoSuchNamespaceException {
    if (isInformationSchema(namespace)) {
      return new HashMap<>();
    }
    if (!namespaceExists(namespace)) {
      throw new NoSuchNamespaceException(qualified(namespace));
    }
    return databases().loadNamespaceMetadata(physical(namespace));
  }

  @Override
  public void createNamespace(String[] namespace, Map<String, String> metadata)
      throws NamespaceAlreadyExistsException {
    String schema = schema(namespace);
    if (schema == null) {
      throw new IllegalArgumentException(
          "A schema has one name, not " + String.join(".", namespace));
    }
    if (namespaceExists(namespace)) {
      throw new NamespaceAlreadyExistsException(namespace);
    }
    Map<String, String> placed = new HashMap<>(metadata);
    String warehouse = SparkSession.active().conf().get("spark.sql.warehouse.dir");
    placed.putIfAbsent(SupportsNamespaces.PROP_LOCATION, warehouse + "/" + name + "/" + schema);
    String[] physical = physical(namespace);
    registry().declare(physical[0], name, schema);
    databases().createNamespace(physical, placed);
  }

  @Override
  public void alterNamespace(String[] namespace, NamespaceChange... changes)
      throws NoSuchNamespaceException {
    databases().alterNamespace(physical(namespace), changes);
  }

  @Override
  public boolean dropNamespace(String[] namespace, boolean cascade)
      throws NoSuchNamespaceException, NonEmptyNamespaceException {
    if (!namespaceExists(namespace)) {
      throw new NoSuchNamespaceException(qualified(namespace));
    }
    String[] physical = physical(namespace);
    boolean used = registry().isUsed(physical[0]) || hasVolumes(namespace);
    if (used && !cascade) {
      throw new NonEmptyNamespaceException(namespace);
    }
    for (String table : registry().tableNames(physical[0])) {
      tables().dropTable(Identifier.of(physical, table));
    }
    String folder = SchemaFolders.leave(SparkSession.active(), physical[0]);
    boolean dropped = databases().dropNamespace(physical, true);
    SchemaFolders.removeIfEmpty(SparkSession.active(), folder);
    return dropped;
  }

  private boolean hasVolumes(String[] namespace) {
    return !registry().volumes().of(name, schema(namespace)).isEmpty();
  }
}
