package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.StoredTable;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.spark.sql.DataFrameWriter;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.TableIdentifier;
import org.apache.spark.sql.connector.catalog.CatalogV2Util;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.StagedTable;
import org.apache.spark.sql.connector.catalog.SupportsWrite;
import org.apache.spark.sql.connector.catalog.TableCapability;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.expressions.Transform;
import org.apache.spark.sql.connector.write.LogicalWriteInfo;
import org.apache.spark.sql.connector.write.V1Write;
import org.apache.spark.sql.connector.write.Write;
import org.apache.spark.sql.connector.write.WriteBuilder;
import scala.Option;

/**
 * CREATE TABLE ... USING parquet (or another format of files) AS SELECT: the files are written
 * first, then the table is registered. Delta's catalog has this for Delta tables only.
 */
final class StagedFiles implements StagedTable, SupportsWrite {
  private static final String OPTION = "option.";

  private final SparkSession session;
  private final Identifier physical;
  private final Column[] columns;
  private final Transform[] partitions;
  private final Map<String, String> properties;
  private final String location;

  StagedFiles(
      SparkSession session,
      Identifier physical,
      Column[] columns,
      Transform[] partitions,
      Map<String, String> properties) {
    this.session = session;
    this.physical = physical;
    this.columns = columns;
    this.partitions = partitions;
    this.properties = properties;
    TableIdentifier table =
        new TableIdentifier(physical.name(), Option.apply(physical.namespace()[0]));
    String given = properties.get(TableCatalog.PROP_LOCATION);
    this.location =
        given != null ? given : session.sessionState().catalog().defaultTablePath(table).toString();
  }

  /** The order in which files with partitions are read. */
  static Column[] partitionsLast(Column[] columns, Transform[] partitions) {
    List<String> names = names(partitions);
    return Arrays.stream(columns)
        .sorted(Comparator.comparingInt(column -> names.indexOf(column.name())))
        .toArray(Column[]::new);
  }

  private static List<String> names(Transform[] partitions) {
    return Arrays.stream(partitions)
        .flatMap(partition -> Arrays.stream(partition.references()))
        .map(reference -> String.join(".", reference.fieldNames()))
        .toList();
  }

  private Map<String, String> options() {
    Map<String, String> options = new HashMap<>();
    properties.forEach(
        (name, value) -> {
          if (name.startsWith(OPTION)) {
            options.put(name.substring(OPTION.length()), value);
          }
        });
    return options;
  }

  @Override
  public WriteBuilder newWriteBuilder(LogicalWriteInfo info) {
    return new WriteBuilder() {
      @Override
      public Write build() {
        return (V1Write)
            () ->
                (data, overwrite) -> {
                  DataFrameWriter<Row> writer =
                      data.write().format(provider()).options(options()).mode(SaveMode.ErrorIfExists);
                  writer.partitionBy(names(partitions).toArray(String[]::new)).save(location);
                };
      }
    };
  }

  private String provider() {
    return properties.get(TableCatalog.PROP_PROVIDER);
  }

  /** Straight to the catalog in memory: Spark's session catalog refuses a folder with files in it. */
  @Override
  public void commitStagedChanges() {
    Map<String, String> kept = new HashMap<>(properties);
    kept.keySet().removeIf(name -> name.startsWith(OPTION));
    CatalogV2Util.TABLE_RESERVED_PROPERTIES().foreach(kept::remove);
    if (properties.containsKey(TableCatalog.PROP_COMMENT)) {
      kept.put(TableCatalog.PROP_COMMENT, properties.get(TableCatalog.PROP_COMMENT));
    }
    boolean external = properties.containsKey(TableCatalog.PROP_LOCATION);
    StoredTable table =
        new StoredTable(
            new Address(physical.namespace()[0], physical.name()),
            external ? "EXTERNAL" : "MANAGED",
            location,
            provider(),
            CatalogV2Util.v2ColumnsToStructType(partitionsLast(columns, partitions)).json(),
            names(partitions),
            options(),
            kept,
            System.currentTimeMillis());
    session.sharedState().externalCatalog().createTable(Conversions.toSpark(table), false);
  }

  @Override
  public void abortStagedChanges() {
    // The folder is this statement's own: whoever began it removes it.
  }

  @Override
  public String name() {
    return physical.toString();
  }

  @Override
  public Column[] columns() {
    return columns;
  }

  @Override
  public Transform[] partitioning() {
    return partitions;
  }

  @Override
  public Map<String, String> properties() {
    return properties;
  }

  @Override
  public Set<TableCapability> capabilities() {
    return EnumSet.of(TableCapability.V1_BATCH_WRITE);
  }
}
