package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.Contents.StoredTable;
import dbxcd.local.Contents.StoredView;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.WeakHashMap;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalogWithListener;

/**
 * Everything the catalogs know, shared by all sessions of one Spark application and kept in one
 * file. Databases and tables live in Spark's own in-memory catalog; the registry listens to its
 * events, so whatever creates a table (SQL, DataFrame writer, CLONE) is recorded. Views,
 * for which the in-memory catalog has no place, live here alone ({@link StoredViews}), as do {@link Tags} and
 * {@link Keys}.
 */
final class Registry {
  /** The configuration that names the registry file. */
  static final String FILE_CONF = "spark.dbxcd.registry";

  private static final Map<ExternalCatalogWithListener, Registry> OPEN = new WeakHashMap<>();

  private final ExternalCatalogWithListener spark;
  private final RegistryFile file;
  private final Map<String, Namespace> namespaces = new TreeMap<>();
  private final Map<Address, StoredTable> tables = new LinkedHashMap<>();
  private final StoredViews views = new StoredViews(this);
  private final Tags tags = new Tags(this);
  private final Keys keys = new Keys(this);
  private final Volumes volumes;
  private final UnfinishedTables unfinished = new UnfinishedTables(this);
  private final ShallowClones clones = new ShallowClones(this);
  private final StoredFunctions functions = new StoredFunctions();
  private final LocalCatalogs catalogs = new LocalCatalogs();
  private final Map<String, String[]> declared = new TreeMap<>();
  private final RightsState rights = new RightsState(this::saveRights);
  private IOException unsaved;

  private Registry(ExternalCatalogWithListener spark, RegistryFile file, Path volumesRoot) {
    this.spark = spark;
    this.file = file;
    volumes = new Volumes(volumesRoot, this::changed);
  }

  /** The registry of the session's application; the first call restores it from its file. */
  static Registry of(SparkSession session) {
    synchronized (OPEN) {
      ExternalCatalogWithListener spark = session.sharedState().externalCatalog();
      Registry registry = OPEN.get(spark);
      if (registry == null) {
        registry = open(session, spark);
        OPEN.put(spark, registry);
      }
      registry.requireSaved();
      return registry;
    }
  }

  private static Registry open(SparkSession session, ExternalCatalogWithListener spark) {
    try {
      ErrorConditions.complete();
      Path path = Path.of(session.sparkContext().getConf().get(FILE_CONF));
      RegistryFile file = new RegistryFile(path);
      session.sparkContext().addSparkListener(file.closeAtEnd());
      Registry registry = new Registry(spark, file, path.resolveSibling("Volumes"));
      registry.restore();
      spark.addListener(new CatalogEvents(registry));
      return registry;
    } catch (IOException e) {
      throw new IllegalStateException("Cannot open the catalogs: " + e.getMessage(), e);
    }
  }

  private synchronized void restore() throws IOException {
    Contents stored = Recovery.reconcile(file.read());
    for (Namespace namespace : stored.namespaces()) {
      spark.createDatabase(Conversions.toSpark(namespace), true);
      namespaces.put(namespace.database(), namespace);
    }
    for (StoredTable table : stored.tables()) {
      spark.createTable(Conversions.toSpark(table), true);
      tables.put(table.address(), table);
    }
    views.restore(stored.views());
    tags.restore(stored.tags());
    keys.restore(stored.keys());
    volumes.restore(stored.volumes());
    rights.restore(stored.rights());
    clones.restore(stored.clones());
    functions.restore(stored.functions(), spark);
    catalogs.restore(stored.catalogs());
    stored.moves().forEach(move -> followNames(move.from(), move.to()));
    save();
  }

  private synchronized void changed() {
    save();
  }

  /** The volumes of all catalogs. */
  Volumes volumes() {
    return volumes;
  }

  // Spark swallows what a listener throws, so a failed write is kept and raised by the next use.
  void save() {
    try {
      file.write(contents());
      unsaved = null;
    } catch (IOException e) {
      unsaved = e;
    }
  }

  private Contents contents() {
    return new Contents(
        Contents.FORMAT, List.copyOf(namespaces.values()), List.copyOf(tables.values()), views.all(), tags.all(),
        keys.all(), volumes.all(), rights.stored(), unfinished.all(), clones.all(), functions.all(), catalogs.stored(),
        unfinished.moves());
  }

  private synchronized void requireSaved() {
    if (unsaved != null) {
      save();
    }
    if (unsaved != null) {
      throw new IllegalStateException("Cannot write the catalog's registry: " + unsaved.getMessage(), unsaved);
    }
  }

  // ---------------------------------------------------------------- what Spark's catalog did, by CatalogEvents

  void recordDatabase(String database) {
    if (!spark.databaseExists(database)) {
      return;
    }
    Namespace known = namespaces.get(database);
    String[] name =
        known != null
            ? new String[] {known.catalog(), known.schema()}
            : declared.getOrDefault(database, new String[] {"spark_catalog", database});
    namespaces.put(database, Conversions.toRecord(spark.getDatabase(database), name[0], name[1]));
  }

  void recordTable(Address address) {
    if (spark.tableExists(address.database(), address.name())) {
      tables.put(address, Conversions.toRecord(spark.getTable(address.database(), address.name())));
    }
  }

  void databaseDropped(String database) {
    volumes.forgetSchema(namespaces.remove(database));
    forget(address -> address.database().equals(database));
    functions.databaseDropped(database);
  }

  void tableRenamed(Address from, Address to) {
    tables.remove(from);
    recordTable(to);
    followNames(from, to);
  }

  void forget(Predicate<Address> dropped) {
    tables.keySet().removeIf(dropped);
    views.forget(dropped);
    tags.forget(dropped);
    keys.forget(dropped);
    clones.forget(dropped);
  }

  void functionChanged(String database, String name) {
    functions.changed(database, name, spark);
  }

  /** Who owns what and may do what. */
  RightsState rights() {
    return rights;
  }

  private synchronized void saveRights() {
    save();
    requireSaved();
  }

  // ---------------------------------------------------------------- namespaces and tables

  /** Says which catalog and schema a database that is about to be created belongs to. */
  synchronized void declare(String database, String catalog, String schema) {
    declared.put(database, new String[] {catalog, schema});
  }

  synchronized List<Namespace> namespaces(String catalog) {
    return namespaces.values().stream().filter(n -> n.catalog().equals(catalog)).toList();
  }

  synchronized boolean hasDatabase(String database) {
    return namespaces.containsKey(database);
  }

  synchronized Optional<Namespace> namespace(String database) {
    return Optional.ofNullable(namespaces.get(database));
  }

  synchronized Optional<StoredTable> table(Address address) {
    return Optional.ofNullable(tables.get(address));
  }

  /** The tables whose files a path leads to. */
  synchronized List<Address> tablesAt(org.apache.hadoop.fs.Path path) {
    TableFolders folders = TableFolders.of(path);
    return tables.values().stream()
        .filter(table -> folders.touch(table.location()))
        .map(StoredTable::address)
        .toList();
  }

  /** The tables of a database, whoever may see them. */
  synchronized List<String> tableNames(String database) {
    return tables.keySet().stream()
        .filter(address -> address.database().equals(database))
        .map(Address::name)
        .sorted()
        .toList();
  }

  /** The tags, keys and rights of a table that has moved. */
  synchronized void follow(Address from, Address to) {
    followNames(from, to);
    save();
  }

  private void followNames(Address from, Address to) {
    tags.move(from, to);
    keys.move(from, to);
    clones.move(from, to);
    rights.renamed(this, from, to);
  }

  /** Whether there is a relation or a function in the database. */
  synchronized boolean isUsed(String database) {
    return tables.keySet().stream().anyMatch(address -> address.database().equals(database))
        || !views.names(database).isEmpty()
        || functions.all().stream().anyMatch(function -> function.database().equals(database));
  }

  // ---------------------------------------------------------------- functions and catalogs

  StoredFunctions functions() {
    return functions;
  }

  LocalCatalogs catalogs() {
    return catalogs;
  }

  synchronized void changeCatalogs(Consumer<LocalCatalogs> change) {
    change.accept(catalogs);
    save();
  }

  // ---------------------------------------------------------------- views

  StoredViews views() {
    return views;
  }

  Optional<StoredView> storedView(Address address) {
    return views.stored(address);
  }

  // ---------------------------------------------------------------- tags and keys

  Tags tags() {
    return tags;
  }

  Keys keys() {
    return keys;
  }

  ShallowClones clones() {
    return clones;
  }

  /** The tables that are being made. */
  UnfinishedTables unfinished() {
    return unfinished;
  }
}
