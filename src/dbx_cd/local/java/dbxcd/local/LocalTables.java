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
import org.apache.spark.sql.catalyst.analysis.TableAlreadyExistsException;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.catalog.TableCatalogCapability;
import org.apache.spark.sql.connector.catalog.TableChange;
import org.apache.spark.sql.connector.catalog.TableInfo;
import org.apache.spark.sql.connector.catalog.constraints.Constraint;
import org.apache.spark.sql.connector.expressions.Transform;

/** The tables of a catalog: made, changed, renamed and dropped by Delta, with the keys that the registry keeps. */
abstract class LocalTables extends LocalNamespaces implements TableCatalog {
  // Without SUPPORT_TABLE_CONSTRAINT Spark rejects primary and foreign keys.
  @Override
  public Set<TableCatalogCapability> capabilities() {
    Set<TableCatalogCapability> capabilities = new HashSet<>(tables().capabilities());
    capabilities.add(TableCatalogCapability.SUPPORT_TABLE_CONSTRAINT);
    return capabilities;
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
  void created(Identifier ident, TableInfo info, List<Key> keys) {
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
      ColumnChanges.follow(registry(), address, forDelta);
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
  Identifier requireNamespaceToRename(Identifier target) {
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

  static Identifier sameSchemaUnlessGiven(Identifier from, Identifier to) {
    return to.namespace().length == 0 ? Identifier.of(from.namespace(), to.name()) : to;
  }

  void refuseExistingView(Identifier ident) throws TableAlreadyExistsException {
    if (registry().storedView(address(ident)).isPresent()) {
      throw new TableAlreadyExistsException(ident);
    }
  }

  List<Key> keys(Identifier ident, TableInfo info, boolean replaced)
      throws NoSuchNamespaceException {
    requireNamespace(ident);
    return info.constraints().length == 0
        ? List.of()
        : new KeyRules(registry(), address(ident), info.columns(), replaced)
            .accept(info.constraints());
  }
}
