package dbxcd.local;

import java.net.URI;
import java.nio.file.Path;
import java.util.UUID;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.catalog.CatalogDatabase;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalog;

/** What becomes of the folder of a schema that is dropped. */
final class SchemaFolders {
  private SchemaFolders() {}

  /**
   * Gives a database, which is about to be dropped, another folder, and tells which one it had:
   * Spark's catalog deletes a dropped database's folder with all that people put there.
   */
  static String leave(SparkSession session, String database) {
    ExternalCatalog spark = session.sharedState().externalCatalog();
    CatalogDatabase known = spark.getDatabase(database);
    URI nowhere = spark.getDatabase("default").locationUri().resolve("dropped-" + UUID.randomUUID());
    spark.alterDatabase(
        new CatalogDatabase(known.name(), known.description(), nowhere, known.properties()));
    return known.locationUri().toString();
  }

  /** The folder of a schema that is gone; one that was given by LOCATION stays in any case. */
  static void removeIfEmpty(SparkSession session, String folder) {
    ExternalCatalog spark = session.sharedState().externalCatalog();
    Path path = Recovery.localPath(folder);
    Path warehouse = Recovery.localPath(spark.getDatabase("default").locationUri().toString());
    String[] left = path.toFile().list();
    if (path.startsWith(warehouse) && left != null && left.length == 0) {
      path.toFile().delete();
    }
  }
}
