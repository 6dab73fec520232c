package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Move;
import dbxcd.local.Contents.StoredTable;
import dbxcd.local.Contents.Unfinished;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.hadoop.fs.FileUtil;
import org.apache.spark.sql.types.StructType;

/**
 * Brings the registry file and the tables' folders together after the process was killed between
 * a change on disk and the writing of the registry. It touches what the file says this workspace
 * made, and nothing else: a schema's folder may hold whatever people put there. A table that was
 * being made is adopted if its first commit is there, else its folder is removed; a registered
 * table without a commit was being dropped: it is forgotten, and what is left of it removed. A table
 * whose files had moved to another schema is there; the answer tells which ones, for what else follows.
 */
final class Recovery {
  private Recovery() {}

  static Contents reconcile(Contents stored) throws IOException {
    List<StoredTable> tables = new ArrayList<>();
    Set<Address> registered = new HashSet<>();
    List<Move> moves = TableMove.toFinish(stored);
    List<StoredTable> known = stored.tables();
    for (Move move : moves) {
      known = TableMove.finished(known, move);
    }
    for (StoredTable table : known) {
      boolean managedDelta = "delta".equals(table.provider()) && "MANAGED".equals(table.type());
      Path folder = localPath(table.location());
      if (!managedDelta || isCommitted(folder)) {
        tables.add(table);
        registered.add(table.address());
      } else {
        FileUtil.fullyDelete(folder.toFile());
      }
    }
    for (Unfinished made : stored.unfinished()) {
      Path folder = localPath(made.location());
      if (registered.contains(made.address())) {
        continue;
      }
      if (isCommitted(folder)) {
        tables.add(adopted(made.address(), folder));
      } else {
        FileUtil.fullyDelete(folder.toFile());
      }
    }
    Set<Address> there = new HashSet<>();
    tables.forEach(table -> there.add(table.address()));
    stored.views().forEach(view -> there.add(view.address()));
    moves.forEach(move -> there.add(move.from())); // its tags and keys follow with the registry's other names
    return new Contents(
        stored.format(),
        stored.namespaces(),
        tables,
        stored.views(),
        stored.tags().stream().filter(tag -> there.contains(tag.address())).toList(),
        stored.keys().stream().filter(key -> there.contains(key.address())).toList(),
        stored.volumes(),
        stored.rights(),
        List.of(),
        stored.clones().stream().filter(there::contains).toList(),
        stored.functions(),
        stored.catalogs(),
        moves);
  }

  private static StoredTable adopted(Address address, Path folder) throws IOException {
    return new StoredTable(
        address,
        "MANAGED",
        folder.toUri().toString(),
        "delta",
        new StructType().json(),
        List.of(),
        Map.of(),
        Map.of(),
        Files.getLastModifiedTime(folder).toMillis());
  }

  static boolean isCommitted(Path folder) throws IOException {
    Path log = folder.resolve("_delta_log");
    if (!Files.isDirectory(log)) {
      return false;
    }
    try (Stream<Path> entries = Files.list(log)) {
      return entries.anyMatch(entry -> entry.getFileName().toString().matches("\\d{20}\\.json"));
    }
  }

  static Path localPath(String location) {
    return Path.of(URI.create(location).getPath()).normalize();
  }
}
