package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.StoredTable;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalog;
import org.apache.spark.sql.delta.DeltaLog;

/**
 * ALTER TABLE ... RENAME TO another schema, which Spark's session catalog refuses. A managed table's files move with it:
 * they would go with its old schema when that is dropped. History, tags and keys follow.
 */
final class TableMove {
  private TableMove() {}

  static void move(SparkSession session, Address from, Address to) throws IOException {
    ExternalCatalog spark = session.sharedState().externalCatalog();
    Registry registry = Registry.of(session);
    StoredTable table = registry.table(from).orElseThrow();
    String location = table.location();
    if (table.type().equals("MANAGED")) {
      URI schema = spark.getDatabase(to.database()).locationUri();
      location = moved(Path.of(URI.create(location).getPath()), Path.of(schema.getPath()), to.name());
      DeltaLog.invalidateCache(session, new org.apache.hadoop.fs.Path(table.location()));
    }
    spark.createTable(Conversions.toSpark(at(table, to, table.type(), location)), false);
    registry.follow(from, to);
    // As an external one: dropping a managed table deletes what is at its location.
    spark.alterTable(Conversions.toSpark(at(table, from, "EXTERNAL", location)));
    spark.dropTable(from.database(), from.name(), true, true);
  }

  private static String moved(Path files, Path schema, String name) throws IOException {
    Files.createDirectories(schema);
    Path target = schema.resolve(name);
    if (Files.exists(target)) { // another table's, which was renamed since
      target = schema.resolve(name + "-" + UUID.randomUUID());
    }
    return Files.move(files, target).toUri().toString();
  }

  private static StoredTable at(StoredTable table, Address address, String type, String location) {
    return new StoredTable(
        address,
        type,
        location,
        table.provider(),
        table.schema(),
        table.partitionColumns(),
        table.options(),
        table.properties(),
        table.createTime());
  }
}
