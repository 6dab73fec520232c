package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.Contents.StoredTable;
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
 * a change on disk and the writing of the registry: a committed Delta table that is not registered
 * is adopted, a registered one whose folder is gone is forgotten, an uncommitted folder is removed.
 */
final class Recovery {
  private Recovery() {}

  static Contents reconcile(Contents stored) throws IOException {
    List<StoredTable> tables = new ArrayList<>();
    Set<Path> registered = new HashSet<>();
    for (StoredTable table : stored.tables()) {
      boolean managedDelta = "delta".equals(table.provider()) && "MANAGED".equals(table.type());
      if (!managedDelta || isCommitted(localPath(table.location()))) {
        tables.add(table);
        registered.add(localPath(table.location()));
      }
    }
    for (Namespace namespace : stored.namespaces()) {
      for (Path folder : subfolders(localPath(namespace.location()))) {
        if (registered.contains(folder) || namespace.catalog().equals("spark_catalog")) {
          continue;
        }
        if (isCommitted(folder)) {
          tables.add(adopted(namespace, folder));
        } else {
          FileUtil.fullyDelete(folder.toFile());
        }
      }
    }
    return new Contents(
        stored.format(),
        stored.namespaces(),
        tables,
        stored.views(),
        stored.tags(),
        stored.keys(),
        stored.functions(),
        stored.catalogs());
  }

  private static StoredTable adopted(Namespace namespace, Path folder) throws IOException {
    return new StoredTable(
        new Address(namespace.database(), folder.getFileName().toString()),
        "MANAGED",
        folder.toUri().toString(),
        "delta",
        new StructType().json(),
        List.of(),
        Map.of(),
        Map.of(),
        Files.getLastModifiedTime(folder).toMillis());
  }

  private static boolean isCommitted(Path folder) throws IOException {
    Path log = folder.resolve("_delta_log");
    if (!Files.isDirectory(log)) {
      return false;
    }
    try (Stream<Path> entries = Files.list(log)) {
      return entries.anyMatch(entry -> entry.getFileName().toString().matches("\\d{20}\\.json"));
    }
  }

  private static List<Path> subfolders(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.filter(Files::isDirectory).sorted().toList();
    }
  }

  private static Path localPath(String location) {
    return Path.of(URI.create(location).getPath()).normalize();
  }
}
