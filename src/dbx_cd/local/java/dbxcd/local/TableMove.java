package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Move;
import dbxcd.local.Contents.StoredTable;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalog;
import org.apache.spark.sql.delta.DeltaLog;

/**
 * ALTER TABLE ... RENAME TO another schema, which Spark's session catalog refuses. A managed table's files move with
 * it: they would go with its old schema when that is dropped. History, tags and keys follow. What is moving where is
 * written down first, so that a start after a kill finds the table, under one of its names.
 */
final class TableMove {
  private TableMove() {}

  static void move(SparkSession session, Address from, Address to) throws IOException {
    Registry registry = Registry.of(session);
    StoredTable table = registry.table(from).orElseThrow();
    boolean managed = table.type().equals("MANAGED");
    URI schema = session.sharedState().externalCatalog().getDatabase(to.database()).locationUri();
    Move move = new Move(from, to, managed ? free(Path.of(schema.getPath()), to.name()) : table.location());
    registry.unfinished().begin(move);
    try {
      if (managed) {
        Files.createDirectories(Path.of(schema.getPath()));
        Files.move(Recovery.localPath(table.location()), Recovery.localPath(move.location()));
        DeltaLog.invalidateCache(session, new org.apache.hadoop.fs.Path(table.location()));
      }
      register(session, table, move);
    } finally {
      registry.unfinished().end(move);
    }
  }

  private static void register(SparkSession session, StoredTable table, Move move) {
    ExternalCatalog spark = session.sharedState().externalCatalog();
    Address from = move.from();
    spark.createTable(Conversions.toSpark(at(table, move.to(), table.type(), move.location())), false);
    Registry.of(session).follow(from, move.to());
    // As an external one: dropping a managed table deletes what is at its location.
    spark.alterTable(Conversions.toSpark(at(table, from, "EXTERNAL", move.location())));
    spark.dropTable(from.database(), from.name(), true, true);
  }

  private static String free(Path schema, String name) {
    Path target = schema.resolve(name);
    if (Files.exists(target)) { // another table's, which was renamed since
      target = schema.resolve(name + "-" + UUID.randomUUID());
    }
    return target.toUri().toString();
  }

  // ---------------------------------------------------------------- after a kill

  /** Of the moves that a kill interrupted, those whose files had moved: they are finished. The others had not begun. */
  static List<Move> toFinish(Contents stored) {
    return stored.moves().stream().filter(move -> hasMoved(stored.tables(), move)).toList();
  }

  private static boolean hasMoved(List<StoredTable> tables, Move move) {
    Path target = Recovery.localPath(move.location());
    StoredTable old = at(tables, move.from()).orElse(null);
    return old == null || Recovery.localPath(old.location()).equals(target) || Files.exists(target);
  }

  /** The tables as they are once a move is finished. */
  static List<StoredTable> finished(List<StoredTable> tables, Move move) {
    List<StoredTable> after = new ArrayList<>(tables);
    StoredTable old = at(tables, move.from()).orElse(null);
    after.remove(old);
    if (old != null && at(tables, move.to()).isEmpty()) {
      after.add(at(old, move.to(), old.type(), move.location()));
    }
    return after;
  }

  private static Optional<StoredTable> at(List<StoredTable> tables, Address address) {
    return tables.stream().filter(table -> table.address().equals(address)).findFirst();
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
