package dbxcd.local;

import dbxcd.local.Contents.Address;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.execution.command.ShowTablesCommand;
import scala.runtime.AbstractFunction1;
import scala.runtime.BoxedUnit;

/**
 * Refuses Spark's older way to list the tables of its session catalog where it would show what the session's user does
 * not see: SHOW TABLE EXTENDED IN spark_catalog..., and SHOW TABLES with {@code spark.sql.legacy.useV1Command}. It asks
 * no catalog ({@link SessionCatalog}) that could leave something out.
 */
final class OlderLists extends AbstractFunction1<LogicalPlan, BoxedUnit> {
  private final SparkSession session;

  OlderLists(SparkSession session) {
    this.session = session;
  }

  @Override
  public BoxedUnit apply(LogicalPlan plan) {
    if (plan instanceof ShowTablesCommand show) {
      String database = show.databaseName().getOrElse(() -> session.catalog().currentDatabase());
      SeenObjects seen = SeenObjects.of(session);
      boolean hidesNone =
          Registry.of(session).tableNames(database).stream()
              .allMatch(table -> seen.seesRelation(new Address(database, table)));
      if (!hidesNone) {
        throw Denials.insufficient("Not all tables of the schema '" + database + "' may be listed.");
      }
    }
    return BoxedUnit.UNIT;
  }
}
