package dbxcd.local;

import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import org.apache.spark.sql.catalyst.catalog.CatalogTable;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCapability;
import org.apache.spark.sql.connector.catalog.V1Table;
import org.apache.spark.sql.connector.expressions.Transform;

/**
 * A table of Parquet, CSV or JSON files as this catalog shows it. Spark would look for a table of
 * its own kind, {@link V1Table}, in its session catalog by the name it has here. {@link FileTables}
 * reads and writes it.
 */
record FilesTable(String name, V1Table table) implements Table {
  /** The table itself where it is not one of files. */
  static Table of(String name, Table table) {
    return table instanceof V1Table v1
            && FileTables.isFormat(v1.v1Table().provider().getOrElse(() -> null))
        ? new FilesTable(name, v1)
        : table;
  }

  CatalogTable catalogTable() {
    return table.v1Table();
  }

  @Override
  public Column[] columns() {
    return table.columns();
  }

  @Override
  public Transform[] partitioning() {
    return table.partitioning();
  }

  @Override
  public Map<String, String> properties() {
    return table.properties();
  }

  @Override
  public Set<TableCapability> capabilities() {
    return EnumSet.of(
        TableCapability.BATCH_READ,
        TableCapability.BATCH_WRITE,
        TableCapability.TRUNCATE,
        TableCapability.OVERWRITE_BY_FILTER,
        TableCapability.OVERWRITE_DYNAMIC);
  }
}
