package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Key;
import java.util.List;
import java.util.Map;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException;
import org.apache.spark.sql.catalyst.analysis.NoSuchTableException;
import org.apache.spark.sql.catalyst.analysis.TableAlreadyExistsException;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.StagedTable;
import org.apache.spark.sql.connector.catalog.StagingTableCatalog;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.catalog.TableInfo;
import org.apache.spark.sql.connector.expressions.Transform;

/** CREATE TABLE and REPLACE TABLE, with AS or without: Delta stages the table, and its keys follow the commit. */
abstract class LocalStaging extends LocalTables implements StagingTableCatalog {
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
        () -> ColumnChanges.replaced(registry(), address(ident), columns, List.of()),
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
        () -> ColumnChanges.replaced(registry(), address(ident), columns, List.of()));
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
      ColumnChanges.replaced(registry(), address(ident), info.columns(), accepted);
    }
  }
}
