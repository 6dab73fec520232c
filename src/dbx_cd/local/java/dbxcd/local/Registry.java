package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Key;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.Contents.StoredTable;
import dbxcd.local.Contents.StoredView;
import dbxcd.local.Contents.Tag;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.WeakHashMap;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerApplicationEnd;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.catalog.AlterDatabaseEvent;
import org.apache.spark.sql.catalyst.catalog.AlterTableEvent;
import org.apache.spark.sql.catalyst.catalog.CreateDatabaseEvent;
import org.apache.spark.sql.catalyst.catalog.CreateTableEvent;
import org.apache.spark.sql.catalyst.catalog.DropDatabaseEvent;
import org.apache.spark.sql.catalyst.catalog.DropTableEvent;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalogEvent;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalogEventListener;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalogWithListener;
import org.apache.spark.sql.catalyst.catalog.FunctionEvent;
import org.apache.spark.sql.catalyst.catalog.RenameTableEvent;
import org.apache.spark.sql.connector.catalog.View;

/**
 * Everything the catalogs know, shared by all sessions of one Spark application and kept in one
 * file. Databases and tables live in Spark's own in-memory catalog; the registry listens to its
 * events, so whatever creates a table (SQL, DataFrame writer, CLONE) is recorded. Views, tags and
 * keys, for which open-source Spark and Delta have no place, live here alone.
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
  private final List<Tag> tags = new ArrayList<>();
  private final List<Key> keys = new ArrayList<>();
  private final StoredFunctions functions = new StoredFunctions();
  private final LocalCatalogs catalogs = new LocalCatalogs();
  private final Map<String, String[]> declared = new TreeMap<>();
  private IOException unsaved;

  private Registry(ExternalCatalogWithListener spark, RegistryFile file) {
    this.spark = spark;
    this.file = file;
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
      RegistryFile file =
          new RegistryFile(Path.of(session.sparkContext().getConf().get(FILE_CONF)));
      session.sparkContext().addSparkListener(new CloseAtEnd(file));
      Registry registry = new Registry(spark, file);
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
    tags.addAll(stored.tags());
    keys.addAll(stored.keys());
    functions.restore(stored.functions(), spark);
    catalogs.restore(stored.catalogs());
    save();
  }

  // Spark swallows what a listener throws, so a failed write is kept and raised by the next use.
  private void save() {
    try {
      file.write(
          new Contents(
              Contents.FORMAT,
              List.copyOf(namespaces.values()),
              List.copyOf(tables.values()),
              List.copyOf(views.values()),
              List.copyOf(tags),
              List.copyOf(keys),
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
    } else if (event instanceof AlterDatabaseEvent e) {
      recordDatabase(e.database());
    } else if (event instanceof DropDatabaseEvent e) {
      namespaces.remove(e.database());
      forget(address -> address.database().equals(e.database()));
      functions.databaseDropped(e.database());
    } else if (event instanceof CreateTableEvent e) {
      recordTable(new Address(e.database(), e.name()));
    } else if (event instanceof AlterTableEvent e) {
      recordTable(new Address(e.database(), e.name()));
    } else if (event instanceof DropTableEvent e) {
      forget(new Address(e.database(), e.name())::equals);
    } else if (event instanceof RenameTableEvent e) {
      Address from = new Address(e.database(), e.name());
      tables.remove(from);
      moveTagsAndKeys(from, new Address(e.database(), e.newName()));
      recordTable(new Address(e.database(), e.newName()));
    } else if (event instanceof FunctionEvent e) {
      functions.changed(e.database(), e.name(), spark);
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
    tags.removeIf(tag -> dropped.test(tag.address()));
    keys.removeIf(key -> dropped.test(key.address()));
  }

  private void moveTagsAndKeys(Address from, Address to) {
    UnaryOperator<Address> move = address -> address.equals(from) ? to : address;
    tags.replaceAll(t -> new Tag(move.apply(t.address()), t.column(), t.name(), t.value()));
    keys.replaceAll(key -> key.at(move.apply(key.address())));
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

  /** The tags and keys of a table that has moved. */
  synchronized void follow(Address from, Address to) {
    moveTagsAndKeys(from, to);
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
    save();
    return true;
  }

  /** False when there is no such view. */
  synchronized boolean dropView(Address address) {
    if (!views.containsKey(address)) {
      return false;
    }
    forget(address::equals);
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
    save();
    return true;
  }

  // ---------------------------------------------------------------- tags and keys

  synchronized List<Tag> tags() {
    return List.copyOf(tags);
  }

  synchronized void setTags(Address address, String column, Map<String, String> values) {
    values.forEach(
        (name, value) -> {
          removeTag(address, column, name);
          tags.add(new Tag(address, column, name, value));
        });
    save();
  }

  synchronized void unsetTags(Address address, String column, List<String> names) {
    names.forEach(name -> removeTag(address, column, name));
    save();
  }

  private void removeTag(Address address, String column, String name) {
    tags.removeIf(
        tag ->
            tag.address().equals(address)
                && Objects.equals(tag.column(), column)
                && tag.name().equals(name));
  }

  synchronized List<Key> keys() {
    return List.copyOf(keys);
  }

  synchronized List<Key> keys(Address address) {
    return keys.stream().filter(key -> key.address().equals(address)).toList();
  }

  synchronized void addKey(Key key) {
    keys.add(key);
    save();
  }

  /** Removes the keys of the table that match; false when there was none. */
  synchronized boolean dropKeys(Address address, Predicate<Key> which) {
    boolean dropped = keys.removeIf(key -> key.address().equals(address) && which.test(key));
    if (dropped) {
      save();
    }
    return dropped;
  }
}
