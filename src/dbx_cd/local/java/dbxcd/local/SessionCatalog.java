package dbxcd.local;

import dbxcd.local.Contents.Address;
import java.util.Arrays;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.delta.catalog.DeltaCatalog;

/**
 * Spark's session catalog with Delta. All tables are in it by another name ({@code stg__shop.orders}), so it lists what
 * the session's user sees, too; and so temporary views, which are his.
 */
public final class SessionCatalog extends DeltaCatalog {
  @Override
  public Identifier[] listTables(String[] namespace) throws NoSuchNamespaceException {
    SeenObjects seen = SeenObjects.of(SparkSession.active());
    return Arrays.stream(super.listTables(namespace))
        .filter(
            ident ->
                ident.namespace().length != 1 || seen.seesRelation(new Address(ident.namespace()[0], ident.name())))
        .toArray(Identifier[]::new);
  }

  @Override
  public String[][] listNamespaces() throws NoSuchNamespaceException {
    return seen(super.listNamespaces());
  }

  @Override
  public String[][] listNamespaces(String[] namespace) throws NoSuchNamespaceException {
    return seen(super.listNamespaces(namespace));
  }

  private static String[][] seen(String[][] databases) {
    SparkSession session = SparkSession.active();
    Registry registry = Registry.of(session);
    SeenObjects seen = SeenObjects.of(session);
    return Arrays.stream(databases)
        .filter(database -> seen.sees(SecurableNames.schema(registry, database[0])))
        .toArray(String[][]::new);
  }
}
