package dbxcd.local;

import org.apache.spark.sql.catalyst.analysis.NoSuchTableException;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.catalog.constraints.Check;
import org.apache.spark.sql.connector.catalog.constraints.Constraint;
import org.apache.spark.sql.delta.constraints.AddConstraint;

/**
 * CHECK constraints of CREATE TABLE and ALTER TABLE go to Delta, which enforces them; primary and
 * foreign keys are informational, as on Unity Catalog: see {@link KeyRules} and {@link Keys}. What
 * Spark can say of either it has said before a table is made; then come the CHECKs, of which Delta
 * refuses some more, and last the keys.
 */
final class TableConstraints {
  private TableConstraints() {}

  static void addChecks(TableCatalog delta, Identifier physical, Constraint[] constraints) {
    for (Constraint constraint : constraints) {
      if (constraint instanceof Check check) {
        try {
          delta.alterTable(physical, new AddConstraint(check.name(), check.predicateSql()));
        } catch (NoSuchTableException e) {
          throw Exceptions.unchecked(e);
        }
      }
    }
  }
}
