package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Key;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.Contents.StoredTable;
import dbxcd.local.Contents.StoredView;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.TreeMap;
import java.util.WeakHashMap;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerApplicationEnd;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.catalog.AlterDatabaseEvent;
import org.apache.spark.sql.catalyst.catalog.AlterTableEvent;
import org.apache.spark.sql.catalyst.catalog.CatalogDatabase;
import org.apache.spark.sql.catalyst.catalog.CreateDatabaseEvent;
import org.apache.spark.sql.catalyst.catalog.CreateTableEvent;
import org.apache.spark.sql.catalyst.catalog.DropDatabaseEvent;
import org.apache.spark.sql.catalyst.catalog.DropTableEvent;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalogEvent;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalogEventListener;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalogWithListener;
import org.apache.spark.sql.catalyst.catalog.FunctionEvent;
import org.apache.spark.sql.catalyst.catalog.RenameTableEvent;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.TableChange;
import org.apache.spark.sql.connector.catalog.View;

/**
 * Everything the catalogs know, shared by all sessions of one Spark application and kept in one
 * file. Databases and tables live in Spark's own in-memory catalog; the registry listens to its
 * events, so whatever creates a table (SQL, DataFrame writer, CLONE) is recorded. Views,
 * for which the in-memory catalog has no place, live here alone, {@link Tags} and {@link Keys} in their own classes.
 */
final class Registry implements ExternalCatalogEventListener {
  /** The configuration that names the registry file. */
  static final String FILE_CONF = "spark.dbxcd.registry";

  private static final Map<ExternalCatalogWithListener, Registry> OPEN = new WeakHashMap<>();

  private final ExternalCatalogWithListener spark;
  private final RegistryFile file;
  private final Map<String, Namespace> namespaces = new TreeMap<>();
  private final Map<Address, StoredTable> tables = new LinkedHashMap<>();
  private final Map<Address, StoredView> views = new LinkedHashMap<>();
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
      session.sparkContext().addSparkListener(new CloseAtEnd(file));
      Registry registry = new Registry(spark, file, path.resolveSibling("Volumes"));
      registry.restore();
      spark.addListener(registry);
      return registry;
    } catch (IOException e) {
      throw new IllegalStateException("Cannot open the catalogs: " + e.getMessage(), e);
    }
  }

  /** Lets another process have the file once this application has stopped. */
  private static final class CloseAtEnd extends SparkListener {
    private final RegistryFile file;

    CloseAtEnd(RegistryFile file) {
      this.file = file;
    }

    @Override
    public void onApplicationEnd(SparkListenerApplicationEnd end) {
      try {
        file.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
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
    stored.views().forEach(view -> views.put(view.address(), view));
    tags.restore(stored.tags());
    keys.restore(stored.keys());
    volumes.restore(stored.volumes());
    rights.restore(stored.rights());
    clones.restore(stored.clones());
    functions.restore(stored.functions(), spark);
    catalogs.restore(stored.catalogs());
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
      file.write(
          new Contents(
              Contents.FORMAT,
              List.copyOf(namespaces.values()),
              List.copyOf(tables.values()),
              List.copyOf(views.values()),
              tags.all(),
              keys.all(),
              volumes.all(),
              rights.stored(),
              unfinished.all(),
              clones.all(),
              functions.all(),
              catalogs.stored()));
      unsaved = null;
    } catch (IOException e) {
      unsaved = e;
    }
  }

  private synchronized void requireSaved() {
    if (unsaved != null) {
      save();
    }
    if (unsaved != null) {
      throw new IllegalStateException(
          "Cannot write the catalog's registry: " + unsaved.getMessage(), unsaved);
    }
  }

  // ---------------------------------------------------------------- what Spark's catalog did

  @Override
  public synchronized void onEvent(ExternalCatalogEvent event) {
    if (event instanceof CreateDatabaseEvent e) {
      recordDatabase(e.database());
      rights.createdSchema(SecurableNames.schema(this, e.database()));
    } else if (event instanceof AlterDatabaseEvent e) {
      recordDatabase(e.database());
    } else if (event instanceof DropDatabaseEvent e) {
      rights.ledger().dropped(SecurableNames.schema(this, e.database()));
      volumes.forgetSchema(namespaces.remove(e.database()));
      forget(address -> address.database().equals(e.database()));
      functions.databaseDropped(e.database());
    } else if (event instanceof CreateTableEvent e) {
      recordTable(new Address(e.database(), e.name()));
      rights.ledger().created(SecurableNames.table(this, new Address(e.database(), e.name())), SessionUser.active());
    } else if (event instanceof AlterTableEvent e) {
      recordTable(new Address(e.database(), e.name()));
    } else if (event instanceof DropTableEvent e) {
      forget(new Address(e.database(), e.name())::equals);
      rights.ledger().dropped(SecurableNames.table(this, new Address(e.database(), e.name())));
    } else if (event instanceof RenameTableEvent e) {
      Address from = new Address(e.database(), e.name());
      tables.remove(from);
      moveTagsAndKeys(from, new Address(e.database(), e.newName()));
      recordTable(new Address(e.database(), e.newName()));
      rights.renamed(this, from, new Address(e.database(), e.newName()));
    } else if (event instanceof FunctionEvent e) {
      functions.changed(e.database(), e.name(), spark);
      rights.functionChanged(SecurableNames.function(this, e.database(), e.name()), functions.has(e.database(), e.name()));
    } else {
      return;
    }
    save();
  }

  private void recordDatabase(String database) {
    if (!spark.databaseExists(database)) {
      return;
    }
    Namespace known = namespaces.get(database);
    String[] name =
        known != null
            ? new String[] {known.catalog(), known.schema()}
            : declared.getOrDefault(database, new String[] {"spark_catalog", database});
    namespaces.put(
        database, Conversions.toRecord(spark.getDatabase(database), name[0], name[1]));
  }

  private void recordTable(Address address) {
    if (spark.tableExists(address.database(), address.name())) {
      StoredTable table =
          Conversions.toRecord(spark.getTable(address.database(), address.name()));
      tables.put(address, table);
    }
  }

  private void forget(Predicate<Address> dropped) {
    tables.keySet().removeIf(dropped);
    views.keySet().removeIf(dropped);
    tags.forget(dropped);
    keys.forget(dropped);
    clones.forget(dropped);
  }

  private void moveTagsAndKeys(Address from, Address to) {
    tags.move(from, to);
    keys.move(from, to);
    clones.move(from, to);
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

  /**
   * Gives a database, which is about to be dropped, another folder, and tells which one it had:
   * Spark's catalog deletes a dropped database's folder with all that people put there.
   */
  synchronized String leaveFolder(String database) {
    CatalogDatabase known = spark.getDatabase(database);
    URI nowhere = spark.getDatabase("default").locationUri().resolve("dropped-" + UUID.randomUUID());
    spark.alterDatabase(
        new CatalogDatabase(known.name(), known.description(), nowhere, known.properties()));
    return known.locationUri().toString();
  }

  /** The folder of a schema that is gone; one that was given by LOCATION stays in any case. */
  void removeIfEmpty(String folder) {
    Path path = Recovery.localPath(folder);
    Path warehouse = Recovery.localPath(spark.getDatabase("default").locationUri().toString());
    String[] left = path.toFile().list();
    if (path.startsWith(warehouse) && left != null && left.length == 0) {
      path.toFile().delete();
    }
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

  /** The table in whose folder a path lies, or which is there. */
  synchronized Optional<Address> tableAt(org.apache.hadoop.fs.Path path) {
    Path file = Path.of(path.toUri().getPath()).normalize();
    return tables.values().stream()
        .filter(table -> file.startsWith(Recovery.localPath(table.location())))
        .map(StoredTable::address)
        .findFirst();
  }

  /** The tags, keys and rights of a table that has moved. */
  synchronized void follow(Address from, Address to) {
    moveTagsAndKeys(from, to);
    rights.renamed(this, from, to);
    save();
  }

  /** Whether there is a relation or a function in the database. */
  synchronized boolean isUsed(String database) {
    return Stream.concat(tables.keySet().stream(), views.keySet().stream())
            .anyMatch(address -> address.database().equals(database))
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

  synchronized Optional<View> view(Address address) {
    return storedView(address).map(Conversions::toSpark);
  }

  synchronized Optional<StoredView> storedView(Address address) {
    return Optional.ofNullable(views.get(address));
  }

  synchronized List<String> viewNames(String database) {
    return views.keySet().stream()
        .filter(address -> address.database().equals(database))
        .map(Address::name)
        .sorted()
        .toList();
  }

  /** False when there is such a view already. */
  synchronized boolean createView(Address address, View view) {
    if (views.containsKey(address)) {
      return false;
    }
    long now = System.currentTimeMillis();
    views.put(address, Conversions.toRecord(address, view, now, now));
    rights.ledger().created(SecurableNames.table(this, address), SessionUser.active());
    save();
    return true;
  }

  /** False when there is no such view. */
  synchronized boolean replaceView(Address address, View view) {
    StoredView old = views.get(address);
    if (old == null) {
      return false;
    }
    long now = System.currentTimeMillis();
    views.put(address, Conversions.toRecord(address, view, old.created(), now));
    Set<String> names = new HashSet<>();
    for (String column : view.schema().fieldNames()) {
      names.add(column.toLowerCase(Locale.ROOT));
    }
    tags.dropColumns(address, column -> !names.contains(column.toLowerCase(Locale.ROOT)));
    save();
    return true;
  }

  /** False when there is no such view. */
  synchronized boolean dropView(Address address) {
    if (!views.containsKey(address)) {
      return false;
    }
    forget(address::equals);
    rights.ledger().dropped(SecurableNames.table(this, address));
    save();
    return true;
  }

  /** False when there is no such view. */
  synchronized boolean renameView(Address from, Address to) {
    StoredView old = views.remove(from);
    if (old == null) {
      return false;
    }
    View view = Conversions.toSpark(old);
    views.put(to, Conversions.toRecord(to, view, old.created(), System.currentTimeMillis()));
    moveTagsAndKeys(from, to);
    rights.renamed(this, from, to);
    save();
    return true;
  }

  // ---------------------------------------------------------------- tags and keys

  /** The columns of a table were changed: its keys and tags follow. */
  synchronized void columnsChanged(Address address, List<TableChange> changes) {
    Set<String> dropped = new HashSet<>();
    for (TableChange change : changes) {
      if (change instanceof TableChange.RenameColumn rename && rename.fieldNames().length == 1) {
        tags.renameColumn(address, rename.fieldNames()[0], rename.newName());
        keys.renameColumn(address, rename.fieldNames()[0], rename.newName());
      } else if (change instanceof TableChange.DeleteColumn delete
          && delete.fieldNames().length == 1) {
        dropped.add(delete.fieldNames()[0].toLowerCase(Locale.ROOT));
      } else if (change instanceof TableChange.AddColumn add && add.fieldNames().length == 1) {
        dropped.remove(add.fieldNames()[0].toLowerCase(Locale.ROOT)); // REPLACE COLUMNS keeps it
      }
    }
    Predicate<String> gone = column -> dropped.contains(column.toLowerCase(Locale.ROOT));
    tags.dropColumns(address, gone);
    keys.dropColumns(address, gone);
    save();
  }

  /** A table was defined anew, with these columns and keys. */
  synchronized void replaced(Address address, Column[] columns, List<Key> accepted) {
    Set<String> names = new HashSet<>();
    for (Column column : columns) {
      names.add(column.name().toLowerCase(Locale.ROOT));
    }
    tags.dropColumns(address, column -> !names.contains(column.toLowerCase(Locale.ROOT)));
    keys.replace(address, accepted);
  }

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
