package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Namespace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.analysis.NamespaceAlreadyExistsException;
import org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException;
import org.apache.spark.sql.catalyst.analysis.NoSuchTableException;
import org.apache.spark.sql.catalyst.analysis.NoSuchViewException;
import org.apache.spark.sql.catalyst.analysis.NonEmptyNamespaceException;
import org.apache.spark.sql.catalyst.analysis.TableAlreadyExistsException;
import org.apache.spark.sql.catalyst.analysis.ViewAlreadyExistsException;
import org.apache.spark.sql.connector.catalog.CatalogPlugin;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.NamespaceChange;
import org.apache.spark.sql.connector.catalog.Relation;
import org.apache.spark.sql.connector.catalog.RelationCatalog;
import org.apache.spark.sql.connector.catalog.StagedTable;
import org.apache.spark.sql.connector.catalog.StagingTableCatalog;
import org.apache.spark.sql.connector.catalog.SupportsNamespaces;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCatalogCapability;
import org.apache.spark.sql.connector.catalog.TableChange;
import org.apache.spark.sql.connector.catalog.TableInfo;
import org.apache.spark.sql.connector.catalog.TableWritePrivilege;
import org.apache.spark.sql.connector.catalog.View;
import org.apache.spark.sql.connector.catalog.constraints.Constraint;
import org.apache.spark.sql.connector.expressions.Transform;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/**
 * A catalog with real three-level names over Delta's session catalog: {@code stg.shop.orders} is
 * the table {@code orders} of the session database {@code stg__shop}. Tables are delegated to
 * DeltaCatalog, which does all the work; views, keys and tags are kept by the {@link Registry}.
 */
public final class LocalCatalog
    implements StagingTableCatalog, RelationCatalog, SupportsNamespaces {
  private static final String DEFAULT_SCHEMA = "default";

  private String name;

  @Override
  public void initialize(String name, CaseInsensitiveStringMap options) {
    this.name = name.toLowerCase(Locale.ROOT);
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

  private CatalogPlugin delta() {
    return SparkSession.active().sessionState().catalogManager().catalog("spark_catalog");
  }

  private StagingTableCatalog tables() {
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

  private String[] physical(String[] namespace) {
    String schema = schema(namespace);
    return schema == null
        ? namespace
        : new String[] {PhysicalNames.database(name, schema)};
  }

  /** Names such as delta.`/path` stay as they are: Delta resolves them itself. */
  private Identifier physical(Identifier ident) {
    boolean path = ident.name().contains("/") && !namespaceExists(ident.namespace());
    return path ? ident : Identifier.of(physical(ident.namespace()), ident.name());
  }

  Address address(Identifier ident) {
    String database = String.join(".", physical(ident.namespace()));
    return new Address(database, ident.name().toLowerCase(Locale.ROOT));
  }

  private Identifier requireNamespace(Identifier ident) throws NoSuchNamespaceException {
    Identifier physical = physical(ident);
    if (physical != ident && !namespaceExists(ident.namespace())) {
      throw new NoSuchNamespaceException(qualified(ident.namespace()));
    }
    return physical;
  }

  private String[] qualified(String[] namespace) {
    return Stream.concat(Stream.of(name), Arrays.stream(namespace)).toArray(String[]::new);
  }

  private boolean isInformationSchema(String[] namespace) {
    return InformationSchema.NAME.equals(schema(namespace));
  }

  // ---------------------------------------------------------------- tables

  // Without SUPPORT_TABLE_CONSTRAINT Spark rejects primary and foreign keys.
  @Override
  public Set<TableCatalogCapability> capabilities() {
    Set<TableCatalogCapability> capabilities = new HashSet<>(tables().capabilities());
    capabilities.add(TableCatalogCapability.SUPPORT_TABLE_CONSTRAINT);
    return capabilities;
  }

  @Override
  public Identifier[] listTables(String[] namespace) throws NoSuchNamespaceException {
    if (isInformationSchema(namespace)) {
      return InformationSchema.tables(namespace);
    }
    if (!namespaceExists(namespace)) {
      throw new NoSuchNamespaceException(qualified(namespace));
    }
    return Arrays.stream(tables().listTables(physical(namespace)))
        .filter(ident -> ident.namespace().length == 1) // the others are temporary views
        .map(ident -> Identifier.of(namespace, ident.name()))
        .toArray(Identifier[]::new);
  }

  @Override
  public Relation loadRelation(Identifier ident) throws NoSuchTableException {
    if (isInformationSchema(ident.namespace())) {
      return InformationSchema.table(name, List.of(name), ident);
    }
    View view = registry().view(address(ident)).orElse(null);
    return view != null ? view : tables().loadTable(physical(ident));
  }

  @Override
  public Table loadTable(Identifier ident) throws NoSuchTableException {
    return RelationCatalog.super.loadTable(ident);
  }

  @Override
  public Table loadTable(Identifier ident, Set<TableWritePrivilege> privileges)
      throws NoSuchTableException {
    return loadTable(ident);
  }

  @Override
  public Table loadTable(Identifier ident, String version) throws NoSuchTableException {
    return tables().loadTable(physical(ident), version);
  }

  @Override
  public Table loadTable(Identifier ident, long timestamp) throws NoSuchTableException {
    return tables().loadTable(physical(ident), timestamp);
  }

  @Override
  public boolean tableExists(Identifier ident) {
    return RelationCatalog.super.tableExists(ident);
  }

  @Override
  public void invalidateTable(Identifier ident) {
    if (!isInformationSchema(ident.namespace())) {
      tables().invalidateTable(physical(ident));
    }
  }

  @Override
  public Table createTable(
      Identifier ident, Column[] columns, Transform[] partitions, Map<String, String> properties)
      throws TableAlreadyExistsException, NoSuchNamespaceException {
    refuseExistingView(ident);
    return tables().createTable(requireNamespace(ident), columns, partitions, properties);
  }

  @Override
  public Table createTable(Identifier ident, TableInfo info)
      throws TableAlreadyExistsException, NoSuchNamespaceException {
    Table table = createTable(ident, info.columns(), info.partitions(), info.properties());
    addConstraints(ident, info.constraints());
    return table;
  }

  @Override
  public Table createTableLike(Identifier ident, TableInfo info, Table source)
      throws TableAlreadyExistsException, NoSuchNamespaceException {
    Map<String, String> properties = new HashMap<>(info.properties());
    properties.putIfAbsent("provider", "delta");
    return createTable(ident, source.columns(), source.partitioning(), properties);
  }

  @Override
  public Table alterTable(Identifier ident, TableChange... changes) throws NoSuchTableException {
    List<TableChange> forDelta = new ArrayList<>();
    List<Constraint> constraints = new ArrayList<>();
    for (TableChange change : changes) {
      if (change instanceof TableChange.AddConstraint add) {
        constraints.add(add.constraint());
      } else {
        forDelta.add(change);
      }
    }
    if (!forDelta.isEmpty()) {
      tables().alterTable(physical(ident), forDelta.toArray(TableChange[]::new));
    }
    addConstraints(ident, constraints.toArray(Constraint[]::new));
    return loadTable(ident);
  }

  @Override
  public boolean dropTable(Identifier ident) {
    return tables().dropTable(physical(ident));
  }

  @Override
  public boolean purgeTable(Identifier ident) {
    return dropTable(ident);
  }

  @Override
  public void renameTable(Identifier from, Identifier to)
      throws NoSuchTableException, TableAlreadyExistsException {
    Identifier target = sameSchemaUnlessGiven(from, to);
    refuseExistingView(target);
    tables().renameTable(physical(from), physical(target));
  }

  private static Identifier sameSchemaUnlessGiven(Identifier from, Identifier to) {
    return to.namespace().length == 0 ? Identifier.of(from.namespace(), to.name()) : to;
  }

  private void refuseExistingView(Identifier ident) throws TableAlreadyExistsException {
    if (registry().storedView(address(ident)).isPresent()) {
      throw new TableAlreadyExistsException(ident);
    }
  }

  private void addConstraints(Identifier ident, Constraint[] constraints) {
    TableConstraints.add(this, tables(), physical(ident), ident, constraints);
  }

  // ---------------------------------------------------------------- CREATE and REPLACE ... AS

  @Override
  public StagedTable stageCreate(
      Identifier ident, Column[] columns, Transform[] partitions, Map<String, String> properties)
      throws TableAlreadyExistsException, NoSuchNamespaceException {
    refuseExistingView(ident);
    return tables().stageCreate(requireNamespace(ident), columns, partitions, properties);
  }

  @Override
  public StagedTable stageCreate(Identifier ident, TableInfo info)
      throws TableAlreadyExistsException, NoSuchNamespaceException {
    StagedTable staged =
        stageCreate(ident, info.columns(), info.partitions(), info.properties());
    return new StagedRelation(staged, () -> addConstraints(ident, info.constraints()));
  }

  @Override
  public StagedTable stageReplace(
      Identifier ident, Column[] columns, Transform[] partitions, Map<String, String> properties)
      throws NoSuchNamespaceException, NoSuchTableException {
    return tables().stageReplace(requireNamespace(ident), columns, partitions, properties);
  }

  @Override
  public StagedTable stageReplace(Identifier ident, TableInfo info)
      throws NoSuchNamespaceException, NoSuchTableException {
    StagedTable staged =
        stageReplace(ident, info.columns(), info.partitions(), info.properties());
    return new StagedRelation(staged, () -> replaceConstraints(ident, info.constraints()));
  }

  @Override
  public StagedTable stageCreateOrReplace(
      Identifier ident, Column[] columns, Transform[] partitions, Map<String, String> properties)
      throws NoSuchNamespaceException {
    try {
      refuseExistingView(ident);
    } catch (TableAlreadyExistsException e) {
      throw Exceptions.unchecked(e);
    }
    return tables().stageCreateOrReplace(requireNamespace(ident), columns, partitions, properties);
  }

  @Override
  public StagedTable stageCreateOrReplace(Identifier ident, TableInfo info)
      throws NoSuchNamespaceException {
    StagedTable staged =
        stageCreateOrReplace(ident, info.columns(), info.partitions(), info.properties());
    return new StagedRelation(staged, () -> replaceConstraints(ident, info.constraints()));
  }

  /** A replaced table is a new definition: the keys of the old one are gone, its tags stay. */
  private void replaceConstraints(Identifier ident, Constraint[] constraints) {
    registry().dropKeys(address(ident), key -> true);
    addConstraints(ident, constraints);
  }

  // ---------------------------------------------------------------- views

  @Override
  public Identifier[] listViews(String[] namespace) {
    if (isInformationSchema(namespace)) {
      return new Identifier[0];
    }
    return registry().viewNames(physical(namespace)[0]).stream()
        .map(view -> Identifier.of(namespace, view))
        .toArray(Identifier[]::new);
  }

  @Override
  public View createView(Identifier ident, View view)
      throws ViewAlreadyExistsException, NoSuchNamespaceException {
    Identifier physical = requireNamespace(ident);
    if (tables().tableExists(physical) || !registry().createView(address(ident), view)) {
      throw new ViewAlreadyExistsException(ident);
    }
    return view;
  }

  @Override
  public View replaceView(Identifier ident, View view) throws NoSuchViewException {
    if (!registry().replaceView(address(ident), view)) {
      throw new NoSuchViewException(ident);
    }
    return view;
  }

  @Override
  public boolean dropView(Identifier ident) {
    return registry().dropView(address(ident));
  }

  @Override
  public void renameView(Identifier from, Identifier to)
      throws NoSuchViewException, ViewAlreadyExistsException {
    Identifier target = sameSchemaUnlessGiven(from, to);
    if (viewExists(target) || tables().tableExists(physical(target))) {
      throw new ViewAlreadyExistsException(target);
    }
    if (!registry().renameView(address(from), address(target))) {
      throw new NoSuchViewException(from);
    }
  }

  // ---------------------------------------------------------------- namespaces

  @Override
  public String[][] listNamespaces() {
    Stream<String> schemas = registry().namespaces(name).stream().map(Namespace::schema);
    return Stream.concat(schemas, Stream.of(InformationSchema.NAME))
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
    if (!cascade && listViews(namespace).length > 0) {
      throw new NonEmptyNamespaceException(namespace);
    }
    return databases().dropNamespace(physical(namespace), cascade);
  }
}
