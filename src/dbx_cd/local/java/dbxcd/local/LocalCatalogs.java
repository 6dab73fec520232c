package dbxcd.local;

import com.fasterxml.jackson.annotation.JsonProperty;
import dbxcd.local.Contents.Namespace;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException;
import org.apache.spark.sql.catalyst.analysis.NonEmptyNamespaceException;
import org.apache.spark.sql.internal.SQLConf;

/**
 * Which catalogs there are: those that the workspace was started with, and those that CREATE CATALOG made since it
 * exists. One that was dropped and that the workspace is started with again is there again, and empty.
 */
final class LocalCatalogs {
  /** The configuration that lists the catalogs that the workspace was started with, separated by commas. */
  static final String CONF = "spark.dbxcd.catalogs";

  private static final String PREFIX = "spark.sql.catalog.";

  private final Map<String, StoredCatalog> created = new TreeMap<>();
  private final Set<String> dropped = new TreeSet<>();

  /** A catalog that CREATE CATALOG made; {@code comment} may be null. */
  record StoredCatalog(@JsonProperty("name") String name, @JsonProperty("comment") String comment) {}

  synchronized void restore(List<StoredCatalog> stored) {
    stored.forEach(catalog -> created.put(catalog.name(), catalog));
  }

  synchronized List<StoredCatalog> stored() {
    return List.copyOf(created.values());
  }

  /** The names of all catalogs but {@code system}, in the order of the start, then by name. */
  synchronized List<String> names(SparkSession session) {
    List<String> names =
        new ArrayList<>(List.of(session.sparkContext().getConf().get(CONF).split(",")));
    names.removeAll(dropped);
    created.keySet().stream().filter(name -> !names.contains(name)).forEach(names::add);
    return names;
  }

  synchronized boolean isDropped(String name) {
    return dropped.contains(name);
  }

  synchronized String comment(String name) {
    StoredCatalog catalog = created.get(name);
    return catalog == null ? null : catalog.comment();
  }

  synchronized void add(String name, String comment) {
    created.put(name, new StoredCatalog(name, comment));
    dropped.remove(name);
  }

  synchronized void remove(String name) {
    created.remove(name);
    dropped.add(name);
  }

  /** Sessions find a catalog by their settings: gives them those of what was created or dropped meanwhile. */
  synchronized void offer(SparkSession session) {
    if (created.isEmpty() && dropped.isEmpty()) {
      return;
    }
    SQLConf conf = session.sessionState().conf();
    for (String name : created.keySet()) {
      for (String key : keys(name)) {
        if (!conf.contains(key)) {
          conf.setConfString(key, LocalCatalog.class.getName());
        }
      }
    }
    for (String name : dropped) {
      keys(name).stream().filter(conf::contains).forEach(conf::unsetConf);
    }
  }

  /** Spark looks catalogs up by exact name; Unity Catalog ignores case, and SQL is usually in one of these. */
  private static Set<String> keys(String name) {
    String capitalized = name.substring(0, 1).toUpperCase(Locale.ROOT) + name.substring(1);
    Set<String> keys = new TreeSet<>();
    for (String alias : List.of(name, name.toUpperCase(Locale.ROOT), capitalized)) {
      keys.add(PREFIX + alias);
    }
    return keys;
  }

  /** Drops the schemas of a catalog with all that is in them. */
  static void empty(SparkSession session, String name) {
    LocalCatalog catalog = (LocalCatalog) session.sessionState().catalogManager().catalog(name);
    for (Namespace namespace : Registry.of(session).namespaces(name)) {
      try {
        catalog.dropNamespace(new String[] {namespace.schema()}, true);
      } catch (NoSuchNamespaceException | NonEmptyNamespaceException e) {
        throw Exceptions.unchecked(e); // another session is using it at this moment
      }
    }
  }
}
