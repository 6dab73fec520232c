package dbxcd.local;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.StoredTable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Supplier;
import org.apache.hadoop.fs.FileUtil;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException;
import org.apache.spark.sql.catalyst.analysis.TableAlreadyExistsException;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.types.StructType;

/**
 * CREATE TABLE ... DEEP CLONE, of which open-source Delta has the shallow kind. It is one, in whose commit each file of
 * the source becomes a copy of it in the table's own folder; so it is one commit as well.
 */
public final class DeepClone {
  private static final ObjectMapper JSON = new ObjectMapper();

  private static final String ADD = "{\"add\":";
  private static final String COMMIT_INFO = "{\"commitInfo\":";

  /** Delta commits on the thread that runs the statement. */
  private static final ThreadLocal<Boolean> ACTIVE = ThreadLocal.withInitial(() -> false);

  private DeepClone() {}

  /**
   * Makes the table, or its next version where it is to be replaced.
   *
   * @param source the source's name.
   * @param options what follows it.
   * @param location where an external table lies; null for a managed one.
   * @return what Delta reports; no rows where the table is there already and may be.
   */
  public static Dataset<Row> run(
      SparkSession session,
      List<String> target,
      boolean mayBeThere,
      boolean replace,
      List<String> source,
      String options,
      String location)
      throws Exception {
    SparkSession.setActiveSession(session);
    String cloned = ShallowClones.named(session, source) + options;
    List<String> name = Statements.qualify(session, target);
    Registry registry = Registry.of(session);
    Address address = Statements.address(name);
    StoredTable old = registry.table(address).orElse(null);
    if (!registry.hasDatabase(address.database())) {
      throw new NoSuchNamespaceException(new String[] {name.get(0), name.get(1)});
    }
    if (registry.storedView(address).isPresent() || old != null && !replace && !mayBeThere) {
      throw new TableAlreadyExistsException(Identifier.of(new String[] {name.get(0), name.get(1)}, name.get(2)));
    }
    if (old == null) {
      return created(session, registry, address, cloned, location);
    }
    if (!replace) {
      return session.emptyDataFrame();
    }
    registry.clones().refuseOtherType(address, false);
    Dataset<Row> report = registry.clones().replace(session, address, cloned, true);
    registry.keys().replace(address, List.of()); // it is another table now
    return report;
  }

  private static Dataset<Row> created(
      SparkSession session, Registry registry, Address address, String source, String location) {
    String schema = registry.namespace(address.database()).orElseThrow().location();
    Path managed = Path.of(URI.create(schema).getPath(), address.name());
    if (Files.exists(managed)) { // another table's, which was renamed since
      managed = managed.resolveSibling(address.name() + "-" + UUID.randomUUID());
    }
    String place = location == null ? managed.toUri().toString() : location;
    Dataset<Row> report;
    try {
      report = copying(() -> session.sql("CREATE TABLE " + path(place) + " SHALLOW CLONE " + source));
    } catch (Exception e) {
      if (location == null) {
        FileUtil.fullyDelete(managed.toFile());
      }
      throw e;
    }
    // Delta keeps everything else in its own log.
    StoredTable table =
        new StoredTable(
            address,
            location == null ? "MANAGED" : "EXTERNAL",
            place,
            "delta",
            new StructType().json(),
            List.of(),
            Map.of(),
            Map.of(),
            System.currentTimeMillis());
    session.sharedState().externalCatalog().createTable(Conversions.toSpark(table), false);
    return report;
  }

  /** Files that are committed meanwhile, on this thread, are copied. */
  static <T> T copying(Supplier<T> commit) {
    ACTIVE.set(true);
    try {
      return commit.get();
    } finally {
      ACTIVE.remove();
    }
  }

  private static String path(String location) {
    String path = location.startsWith("file:") ? URI.create(location).getPath() : location;
    return "delta.`" + path.replaceAll("/$", "").replace("`", "``") + "`";
  }

  /** The action to write instead into the log in this folder. */
  static String action(String action, Path log) {
    if (!ACTIVE.get() || !(action.startsWith(ADD) || action.startsWith(COMMIT_INFO))) {
      return action;
    }
    try {
      ObjectNode read = (ObjectNode) JSON.readTree(action);
      if (read.has("add")) {
        copyFiles((ObjectNode) read.get("add"), log.getParent());
      } else if (read.get("commitInfo").path("operationParameters") instanceof ObjectNode parameters) {
        parameters.put("isShallow", "false");
      }
      return JSON.writeValueAsString(read);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void copyFiles(ObjectNode add, Path table) throws IOException {
    add.put("path", copied(add.get("path").asText(), table).getFileName().toString());
    JsonNode vector = add.get("deletionVector");
    if (vector instanceof ObjectNode stored && stored.path("storageType").asText().equals("p")) {
      stored.put("pathOrInlineDv", copied(stored.get("pathOrInlineDv").asText(), table).toUri().toString());
    }
  }

  private static Path copied(String source, Path table) throws IOException {
    Path from = Path.of(URI.create(source).getPath());
    Path to = table.resolve(UUID.randomUUID() + "-" + from.getFileName()); // two partitions may name files alike
    return Files.copy(from, to, StandardCopyOption.COPY_ATTRIBUTES);
  }
}
