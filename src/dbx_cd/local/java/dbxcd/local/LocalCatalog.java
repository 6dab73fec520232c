package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Key;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException;
import org.apache.spark.sql.catalyst.analysis.NoSuchTableException;
import org.apache.spark.sql.catalyst.analysis.NoSuchViewException;
import org.apache.spark.sql.catalyst.analysis.TableAlreadyExistsException;
import org.apache.spark.sql.catalyst.analysis.ViewAlreadyExistsException;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.Relation;
import org.apache.spark.sql.connector.catalog.RelationCatalog;
import org.apache.spark.sql.connector.catalog.StagedTable;
import org.apache.spark.sql.connector.catalog.StagingTableCatalog;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.catalog.TableCatalogCapability;
import org.apache.spark.sql.connector.catalog.TableChange;
import org.apache.spark.sql.connector.catalog.TableInfo;
import org.apache.spark.sql.connector.catalog.TableWritePrivilege;
import org.apache.spark.sql.connector.catalog.View;
import org.apache.spark.sql.connector.catalog.constraints.Constraint;
import org.apache.spark.sql.connector.expressions.Transform;

/**
 * A catalog with real three-level names over Delta's session catalog. Tables are delegated to
 * DeltaCatalog, which does all the work; views, keys and tags are kept by the {@link Registry}.
 */
public final class LocalCatalog extends LocalNamespaces
    implements StagingTableCatalog, RelationCatalog, NoFunctions {
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
    return seen(namespace, registry().tableNames(physical(namespace)[0]));
  }

  /** Those of the relations of a schema that the session's user sees. */
  private Identifier[] seen(String[] namespace, List<String> relations) {
    SeenObjects seen = SeenObjects.of(SparkSession.active());
    String database = physical(namespace)[0];
    return relations.stream()
        .filter(relation -> seen.seesRelation(new Address(database, relation)))
        .map(relation -> Identifier.of(namespace, relation))
        .toArray(Identifier[]::new);
  }

  @Override
  public Relation loadRelation(Identifier ident) throws NoSuchTableException {
    if (isInformationSchema(ident.namespace())) {
      return InformationSchema.table(name(), List.of(name()), ident);
    }
    View view = registry().view(address(ident)).orElse(null);
    return view != null ? view : FilesTable.of(shown(ident), tables().loadTable(physical(ident)));
  }

  private String shown(Identifier ident) {
    return String.join(".", qualified(ident.namespace())) + "." + ident.name();
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
    Identifier physical = requireNamespace(ident);
    TableProperties.check(properties);
    registry().unfinished().begin(address(ident));
    Column[] ordered =
        FileTables.isFormat(properties.get(TableCatalog.PROP_PROVIDER))
            ? StagedFiles.partitionsLast(columns, partitions)
            : columns;
    try {
      return tables().createTable(physical, ordered, partitions, properties);
    } finally {
      registry().unfinished().end(address(ident));
    }
  }

  /** Keys that are refused, and a CHECK that is, leave no table. */
  @Override
  public Table createTable(Identifier ident, TableInfo info)
      throws TableAlreadyExistsException, NoSuchNamespaceException {
    List<Key> keys = keys(ident, info, false);
    Table table = createTable(ident, info.columns(), info.partitions(), info.properties());
    created(ident, info, keys);
    return table;
  }

  /** A table was made anew: its CHECKs, then its keys; without the former it is not left. */
  private void created(Identifier ident, TableInfo info, List<Key> keys) {
    boolean complete = false;
    try {
      TableConstraints.addChecks(tables(), physical(ident), info.constraints());
      complete = true;
    } finally { // Spark's errors are checked exceptions, which nothing declares
      if (!complete) {
        dropTable(ident);
      }
    }
    registry().keys().add(keys);
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
    List<Constraint> added = new ArrayList<>();
    for (TableChange change : changes) {
      if (change instanceof TableChange.AddConstraint add) {
        added.add(add.constraint());
      } else {
        forDelta.add(change);
      }
    }
    TableProperties.check(changes);
    Constraint[] constraints = added.toArray(Constraint[]::new);
    Address address = address(ident);
    List<Key> keys = List.of();
    if (constraints.length > 0) {
      keys = new KeyRules(registry(), address, loadTable(ident).columns(), false).accept(constraints);
    }
    if (!forDelta.isEmpty()) {
      tables().alterTable(physical(ident), forDelta.toArray(TableChange[]::new));
      registry().columnsChanged(address, forDelta);
    }
    TableConstraints.addChecks(tables(), physical(ident), constraints);
    registry().keys().add(keys);
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
    Identifier old = physical(from);
    Identifier renamed = requireNamespaceToRename(target);
    registry().unfinished().begin(address(target));
    try {
      if (old.namespace()[0].equals(renamed.namespace()[0])) {
        tables().renameTable(old, renamed);
      } else {
        moveTable(from, target);
      }
    } finally {
      registry().unfinished().end(address(target));
    }
  }

  private void moveTable(Identifier from, Identifier to)
      throws NoSuchTableException, TableAlreadyExistsException {
    if (!tables().tableExists(physical(from))) {
      throw new NoSuchTableException(from);
    }
    if (tables().tableExists(physical(to))) {
      throw new TableAlreadyExistsException(to);
    }
    try {
      TableMove.move(SparkSession.active(), address(from), address(to));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    tables().invalidateTable(physical(from));
  }

  /** Unity Catalog renames to another schema of the same catalog, and no further. */
  private Identifier requireNamespaceToRename(Identifier target) {
    try {
      if (physical(target.namespace()) == target.namespace()) {
        throw new UnsupportedOperationException(
            "[UNSUPPORTED_FEATURE] A relation cannot be renamed from the catalog " + name() + " to " + target);
      }
      return requireNamespace(target);
    } catch (NoSuchNamespaceException e) {
      throw Exceptions.unchecked(e);
    }
  }

  private static Identifier sameSchemaUnlessGiven(Identifier from, Identifier to) {
    return to.namespace().length == 0 ? Identifier.of(from.namespace(), to.name()) : to;
  }

  private void refuseExistingView(Identifier ident) throws TableAlreadyExistsException {
    if (registry().storedView(address(ident)).isPresent()) {
      throw new TableAlreadyExistsException(ident);
    }
  }

  private List<Key> keys(Identifier ident, TableInfo info, boolean replaced)
      throws NoSuchNamespaceException {
    requireNamespace(ident);
    return info.constraints().length == 0
        ? List.of()
        : new KeyRules(registry(), address(ident), info.columns(), replaced)
            .accept(info.constraints());
  }

  // ---------------------------------------------------------------- CREATE and REPLACE ... AS

  /** How Delta stages a table: the arguments are those of the three methods below. */
  private interface Staging {
    StagedTable stage(Identifier physical)
        throws TableAlreadyExistsException, NoSuchNamespaceException, NoSuchTableException;
  }

  private StagedTable staged(
      Identifier ident, Map<String, String> properties, Runnable afterCommit, Staging staging)
      throws NoSuchNamespaceException {
    Identifier physical = requireNamespace(ident);
    TableProperties.check(properties);
    Address address = address(ident);
    registry().unfinished().begin(address);
    try {
      return new StagedRelation(
          staging.stage(physical), afterCommit, () -> registry().unfinished().end(address));
    } catch (Exception e) {
      registry().unfinished().end(address);
      throw Exceptions.unchecked(e);
    }
  }

  @Override
  public StagedTable stageCreate(
      Identifier ident, Column[] columns, Transform[] partitions, Map<String, String> properties)
      throws TableAlreadyExistsException, NoSuchNamespaceException {
    return stageCreate(ident, columns, partitions, properties, () -> {});
  }

  private StagedTable stageCreate(
      Identifier ident,
      Column[] columns,
      Transform[] partitions,
      Map<String, String> properties,
      Runnable afterCommit)
      throws TableAlreadyExistsException, NoSuchNamespaceException {
    refuseExistingView(ident);
    return staged(
        ident,
        properties,
        afterCommit,
        physical ->
            FileTables.isFormat(properties.get(TableCatalog.PROP_PROVIDER))
                ? stagedFiles(ident, physical, columns, partitions, properties)
                : tables().stageCreate(physical, columns, partitions, properties));
  }

  private StagedTable stagedFiles(
      Identifier ident,
      Identifier physical,
      Column[] columns,
      Transform[] partitions,
      Map<String, String> properties)
      throws TableAlreadyExistsException {
    if (tables().tableExists(physical)) {
      throw new TableAlreadyExistsException(ident);
    }
    return new StagedFiles(SparkSession.active(), physical, columns, partitions, properties);
  }

  /** Unity Catalog replaces Delta tables only. */
  private static void refuseToReplaceFiles(Identifier ident, Map<String, String> properties) {
    if (FileTables.isFormat(properties.get(TableCatalog.PROP_PROVIDER))) {
      throw ErrorConditions.error(
          "UNSUPPORTED_FEATURE.TABLE_OPERATION",
          "tableName", KeyRules.quoted(ident.name()),
          "operation", "REPLACE TABLE, because it is not a Delta table");
    }
  }

  @Override
  public StagedTable stageCreate(Identifier ident, TableInfo info)
      throws TableAlreadyExistsException, NoSuchNamespaceException {
    List<Key> keys = keys(ident, info, false);
    return stageCreate(
        ident,
        info.columns(),
        info.partitions(),
        info.properties(),
        () -> created(ident, info, keys));
  }

  @Override
  public StagedTable stageReplace(
      Identifier ident, Column[] columns, Transform[] partitions, Map<String, String> properties)
      throws NoSuchNamespaceException, NoSuchTableException {
    return staged(
        ident,
        properties,
        () -> registry().replaced(address(ident), columns, List.of()),
        physical -> {
          registry().clones().refuseOtherType(address(ident), false);
          refuseToReplaceFiles(ident, properties);
          return tables().stageReplace(physical, columns, partitions, properties);
        });
  }

  @Override
  public StagedTable stageReplace(Identifier ident, TableInfo info)
      throws NoSuchNamespaceException, NoSuchTableException {
    List<Key> keys = keys(ident, info, true);
    return staged(
        ident,
        info.properties(),
        () -> replaced(ident, info, keys),
        physical -> {
          registry().clones().refuseOtherType(address(ident), false);
          refuseToReplaceFiles(ident, info.properties());
          return tables()
              .stageReplace(physical, info.columns(), info.partitions(), info.properties());
        });
  }

  @Override
  public StagedTable stageCreateOrReplace(
      Identifier ident, Column[] columns, Transform[] partitions, Map<String, String> properties)
      throws NoSuchNamespaceException {
    return stageCreateOrReplace(
        ident,
        columns,
        partitions,
        properties,
        () -> registry().replaced(address(ident), columns, List.of()));
  }

  private StagedTable stageCreateOrReplace(
      Identifier ident,
      Column[] columns,
      Transform[] partitions,
      Map<String, String> properties,
      Runnable afterCommit)
      throws NoSuchNamespaceException {
    try {
      refuseExistingView(ident);
    } catch (TableAlreadyExistsException e) {
      throw Exceptions.unchecked(e);
    }
    return staged(
        ident,
        properties,
        afterCommit,
        physical -> {
          registry().clones().refuseOtherType(address(ident), false);
          refuseToReplaceFiles(ident, properties);
          return tables().stageCreateOrReplace(physical, columns, partitions, properties);
        });
  }

  @Override
  public StagedTable stageCreateOrReplace(Identifier ident, TableInfo info)
      throws NoSuchNamespaceException {
    List<Key> keys = keys(ident, info, true);
    boolean isNew = !tables().tableExists(physical(ident));
    return stageCreateOrReplace(
        ident,
        info.columns(),
        info.partitions(),
        info.properties(),
        () -> {
          if (isNew) {
            created(ident, info, keys);
          } else {
            replaced(ident, info, keys);
          }
        });
  }

  /** A replaced table is a new definition: it has these keys and no others; its tags stay. */
  private void replaced(Identifier ident, TableInfo info, List<Key> keys) {
    List<Key> accepted = List.of();
    try {
      TableConstraints.addChecks(tables(), physical(ident), info.constraints());
      accepted = keys;
    } finally { // the table it was is gone, and so are its keys
      registry().replaced(address(ident), info.columns(), accepted);
    }
  }

  // ---------------------------------------------------------------- views

  @Override
  public Identifier[] listViews(String[] namespace) {
    if (isInformationSchema(namespace)) {
      return new Identifier[0];
    }
    return seen(namespace, registry().viewNames(physical(namespace)[0]));
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
    requireNamespaceToRename(target);
    if (viewExists(target) || tables().tableExists(physical(target))) {
      throw new ViewAlreadyExistsException(target);
    }
    if (!registry().renameView(address(from), address(target))) {
      throw new NoSuchViewException(from);
    }
  }
}
