package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.Contents.StoredTable;
import java.io.File;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.apache.hadoop.fs.FileUtil;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.delta.DeltaLog;
import org.apache.spark.sql.delta.DeltaLog$;
import org.apache.spark.sql.delta.DeltaOperations;
import org.apache.spark.sql.delta.OptimisticTransaction;
import org.apache.spark.sql.delta.Snapshot;
import org.apache.spark.sql.delta.actions.Action;
import org.apache.spark.sql.delta.actions.AddFile;
import org.apache.spark.sql.delta.actions.Metadata;
import org.apache.spark.sql.types.StructType;
import scala.Option;
import scala.jdk.javaapi.CollectionConverters;

/**
 * CREATE TABLE ... SHALLOW CLONE. On Unity Catalog a clone is a table of its own type, for life:
 * one replaces another and keeps its history, but no clone replaces a table and no table a clone.
 * Delta makes a table and clones into it, in two commits, and refuses one with data. Here Delta
 * clones into a folder, which becomes the table or whose content becomes the table's next version.
 */
final class ShallowClones {
  private final Registry registry;
  private final Set<Address> clones = new LinkedHashSet<>();

  ShallowClones(Registry registry) {
    this.registry = registry;
  }

  List<Address> all() {
    return List.copyOf(clones);
  }

  boolean contains(Address address) {
    synchronized (registry) {
      return clones.contains(address);
    }
  }

  /** MANAGED or EXTERNAL, as Unity Catalog names them for a clone. */
  String typeOf(StoredTable table) {
    return contains(table.address()) ? table.type() + "_SHALLOW_CLONE" : table.type();
  }

  void restore(List<Address> stored) {
    clones.addAll(stored);
  }

  /** Without saving: part of a change of the registry. */
  void forget(Predicate<Address> dropped) {
    clones.removeIf(dropped);
  }

  /** Without saving: part of a change of the registry. */
  void move(Address from, Address to) {
    if (clones.remove(from)) {
      clones.add(to);
    }
  }

  /** A clone that would become a table, or the other way round, as CREATE OR REPLACE asks. */
  void refuseOtherType(Address address, boolean toClone) {
    if (registry.table(address).isPresent() && contains(address) != toClone) {
      throw ErrorConditions.error(
          "INVALID_PARAMETER_VALUE.UPDATE_TABLE_TYPE",
          "parameter", "`table_type`",
          "functionName", "`CREATE OR REPLACE TABLE`");
    }
  }

  /** A new table; what Delta reports about the cloning is returned. */
  Dataset<Row> create(SparkSession session, Address address, String source, String location) {
    boolean external = location != null;
    synchronized (registry) {
      clones.add(address); // before it is there: a start after a kill finds a clone, or nothing
    }
    registry.unfinished().begin(address);
    boolean made = false;
    try {
      Namespace namespace = registry.namespace(address.database()).orElseThrow();
      String folder = external ? location : namespace.location() + "/" + address.name();
      Dataset<Row> report = cloneInto(session, folder, source);
      StoredTable table =
          new StoredTable(
              address,
              external ? "EXTERNAL" : "MANAGED",
              new File(Recovery.localPath(folder).toString()).toURI().toString().replaceAll("/$", ""),
              "delta",
              new StructType().json(),
              List.of(),
              Map.of(),
              Map.of(),
              System.currentTimeMillis());
      session.sharedState().externalCatalog().createTable(Conversions.toSpark(table), false);
      made = true;
      return report;
    } finally { // Spark's errors are checked exceptions, which nothing declares
      if (!made) {
        synchronized (registry) {
          clones.remove(address);
        }
      }
      registry.unfinished().end(address);
    }
  }

  /** What is cloned, as SQL writes it in any catalog: a table, or a folder as {@code delta.`/folder`}. */
  static String named(SparkSession session, List<String> source) {
    boolean folder = source.get(source.size() - 1).contains("/");
    List<String> parts = folder ? source : Statements.qualify(session, source);
    return parts.stream().map(KeyRules::quoted).collect(Collectors.joining("."));
  }

  /** The three-level name of a table that Delta names as Spark's session catalog has it; any other name as it is. */
  static String ownName(String source) {
    String[] parts = source.split("\\.", 3);
    if (parts.length != 3 || !parts[0].equals("spark_catalog")) {
      return source;
    }
    return Registry.of(SparkSession.active())
        .namespace(parts[1])
        .map(n -> n.catalog() + "." + n.schema() + "." + parts[2])
        .orElse(source);
  }

  private static Dataset<Row> cloneInto(SparkSession session, String folder, String source) {
    return apart(session, "CREATE TABLE " + named(folder) + " SHALLOW CLONE " + source);
  }

  /** In a session of its own, with the same user: only in this catalog is a folder the name of a table. */
  private static Dataset<Row> apart(SparkSession session, String sql) {
    SparkSession own = ((org.apache.spark.sql.classic.SparkSession) session).cloneSession();
    SparkSession.setActiveSession(own);
    try {
      own.sql("SET CATALOG spark_catalog");
      return own.sql(sql);
    } finally {
      SparkSession.setActiveSession(session);
    }
  }

  private static String named(String folder) {
    return "delta.`" + Recovery.localPath(folder).toString().replace("`", "``") + "`";
  }

  /**
   * The next version of a table, in one commit.
   *
   * @param deep whether the files are copied in that commit.
   */
  Dataset<Row> replace(SparkSession session, Address address, String source, boolean deep) {
    StoredTable table = registry.table(address).orElseThrow();
    File folder =
        new File(System.getProperty("java.io.tmpdir"), "dbx_cd-clone-" + UUID.randomUUID());
    try {
      Dataset<Row> report = cloneInto(session, folder.toURI().toString(), source);
      Snapshot cloned =
          DeltaLog$.MODULE$
              .forTable(session, new org.apache.hadoop.fs.Path(folder.toURI()))
              .unsafeVolatileSnapshot();
      if (deep) {
        DeepClone.copying(
            () -> {
              commit(session, table, cloned);
              return null;
            });
      } else {
        commit(session, table, cloned);
      }
      return report;
    } finally {
      FileUtil.fullyDelete(folder);
    }
  }

  private static void commit(SparkSession session, StoredTable table, Snapshot cloned) {
    DeltaLog log =
        DeltaLog$.MODULE$.forTable(session, new org.apache.hadoop.fs.Path(table.location()));
    OptimisticTransaction transaction =
        log.startTransaction(
            Option.apply(
                session
                    .sharedState()
                    .externalCatalog()
                    .getTable(table.address().database(), table.address().name())),
            Option.empty());
    Metadata old = transaction.metadata();
    Metadata metadata = cloned.metadata();
    transaction.updateProtocol(old == null ? cloned.protocol() : transaction.protocol().merge(
        CollectionConverters.asScala(List.of(cloned.protocol())).toSeq()));
    transaction.updateMetadataForTableOverwrite(
        metadata.copy(
            old.id(),
            metadata.name(),
            metadata.description(),
            metadata.format(),
            metadata.schemaString(),
            metadata.partitionColumns(),
            metadata.configuration(),
            old.createdTime()));
    List<Action> actions = new ArrayList<>();
    Map<String, AddFile> wanted = new LinkedHashMap<>();
    cloned.allFiles().collectAsList().forEach(file -> wanted.put(identity(file), file));
    for (AddFile file : CollectionConverters.asJava(transaction.filterFiles())) {
      if (wanted.remove(identity(file)) == null) { // else it stays, and a commit may name it once
        actions.add(file.remove());
      }
    }
    wanted.values().forEach(file -> actions.add(asNew(file)));
    CollectionConverters.asJava(cloned.domainMetadata()).stream()
        .filter(domain -> domain.domain().equals("delta.clustering"))
        .forEach(actions::add);
    Row made = lastCommit(session, cloned);
    transaction.commit(
        CollectionConverters.asScala(actions).toSeq(),
        new DeltaOperations.Clone(made.getString(0), made.getLong(1)));
  }

  private static String identity(AddFile file) {
    return file.path() + "#" + file.getDeletionVectorUniqueId();
  }

  /** A snapshot's files say of themselves that they change nothing. */
  private static AddFile asNew(AddFile file) {
    return file.copy(
        file.path(),
        file.partitionValues(),
        file.size(),
        file.modificationTime(),
        true,
        file.stats(),
        file.tags(),
        file.deletionVector(),
        file.baseRowId(),
        file.defaultRowCommitVersion(),
        file.clusteringProvider(),
        file.copy$default$12(),
        file.copy$default$13());
  }

  /** What was cloned, and of which version, as Delta wrote it down. */
  private static Row lastCommit(SparkSession session, Snapshot cloned) {
    String folder = cloned.deltaLog().dataPath().toUri().toString();
    return apart(session, "DESCRIBE HISTORY " + named(folder) + " LIMIT 1")
        .selectExpr(
            "operationParameters.source", "CAST(operationParameters.sourceVersion AS BIGINT)")
        .first();
  }
}
