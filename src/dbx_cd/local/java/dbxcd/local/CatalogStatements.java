package dbxcd.local;

import dbxcd.local.Contents.Namespace;
import dbxcd.local.rights.Securable;
import java.util.List;
import java.util.Locale;
import org.apache.spark.sql.SparkSession;

/** What the emulation of statements about catalogs calls from Python. */
public final class CatalogStatements {
  private CatalogStatements() {}

  /** All catalogs but {@code system}. */
  public static List<String> names(SparkSession session) {
    return Registry.of(session).catalogs().names(session);
  }

  /** What was said of a catalog when it was created, or null. */
  public static String comment(SparkSession session, String name) {
    return Registry.of(session).catalogs().comment(lower(name));
  }

  /** Who owns a catalog, as it is shown. */
  public static String owner(SparkSession session, String name) {
    return SeenObjects.of(session).owner(Securable.catalog(lower(name)));
  }

  /** Creates a catalog with its schema {@code default}; both are the session's user's. */
  public static void create(SparkSession session, String name, String comment) {
    SparkSession.setActiveSession(session);
    Registry registry = Registry.of(session);
    registry.changeCatalogs(catalogs -> catalogs.add(lower(name), comment));
    registry.catalogs().offer(session);
    LocalCatalog catalog = (LocalCatalog) session.sessionState().catalogManager().catalog(lower(name));
    catalog.requireDefaultSchema(); // a session that has had a catalog of this name keeps its object
    Rights.created(session, "CATALOG", List.of(lower(name)));
    Rights.created(session, "SCHEMA", List.of(lower(name), LocalNamespaces.DEFAULT_SCHEMA));
  }

  /** The schemas that RESTRICT protects: all but a {@code default} without relations and functions. */
  public static List<String> schemasInUse(SparkSession session, String name) {
    SparkSession.setActiveSession(session);
    Registry registry = Registry.of(session);
    return registry.namespaces(lower(name)).stream()
        .filter(namespace -> !namespace.schema().equals("default") || registry.isUsed(namespace.database()))
        .map(Namespace::schema)
        .toList();
  }

  /** Drops a catalog with all that is in it. */
  public static void drop(SparkSession session, String name) {
    SparkSession.setActiveSession(session);
    Registry registry = Registry.of(session);
    registry.catalogs().offer(session); // another session may have created it since
    LocalCatalogs.empty(session, lower(name));
    registry.changeCatalogs(catalogs -> catalogs.remove(lower(name)));
    registry.catalogs().offer(session);
    Rights.dropped(session, "CATALOG", List.of(lower(name)));
  }

  private static String lower(String name) {
    return name.toLowerCase(Locale.ROOT);
  }
}
