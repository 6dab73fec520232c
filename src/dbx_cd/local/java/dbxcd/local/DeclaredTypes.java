package dbxcd.local;

import java.util.Map;
import java.util.Set;
import org.apache.spark.sql.catalyst.analysis.ResolvedTable;
import org.apache.spark.sql.catalyst.plans.logical.DescribeColumn;
import org.apache.spark.sql.catalyst.plans.logical.DescribeRelation;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.rules.Rule;
import org.apache.spark.sql.catalyst.util.CharVarcharUtils;
import org.apache.spark.sql.connector.catalog.CatalogV2Util;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCapability;
import org.apache.spark.sql.connector.catalog.constraints.Constraint;
import org.apache.spark.sql.connector.expressions.Transform;

/**
 * VARCHAR and CHAR as they were declared. Delta keeps such a column as STRING, with its type in the
 * column's metadata, and Spark describes tables of catalogs like these by the former. This rule
 * hands DESCRIBE a table with the latter.
 */
final class DeclaredTypes extends Rule<LogicalPlan> {
  static Column[] of(Column[] columns) {
    return CatalogV2Util.structTypeToV2Columns(
        CharVarcharUtils.getRawSchema(CatalogV2Util.v2ColumnsToStructType(columns)), false);
  }

  @Override
  public LogicalPlan apply(LogicalPlan plan) {
    if (plan instanceof DescribeRelation describe
        && describe.relation() instanceof ResolvedTable resolved
        && !(resolved.table() instanceof Declared)) {
      return new DescribeRelation(declared(resolved), describe.isExtended(), describe.output());
    }
    if (plan instanceof DescribeColumn describe
        && describe.relation() instanceof ResolvedTable resolved
        && !(resolved.table() instanceof Declared)) {
      return new DescribeColumn(
          declared(resolved), describe.column(), describe.isExtended(), describe.output());
    }
    return plan;
  }

  private static ResolvedTable declared(ResolvedTable resolved) {
    return new ResolvedTable(
        resolved.catalog(),
        resolved.identifier(),
        new Declared(resolved.table()),
        resolved.outputAttributes());
  }

  private record Declared(Table table) implements Table {
    @Override
    public String name() {
      return table.name();
    }

    @Override
    public Column[] columns() {
      return of(table.columns());
    }

    @Override
    public Transform[] partitioning() {
      return table.partitioning();
    }

    @Override
    public Map<String, String> properties() {
      return table.properties();
    }

    @Override
    public Set<TableCapability> capabilities() {
      return table.capabilities();
    }

    @Override
    public Constraint[] constraints() {
      return table.constraints();
    }
  }
}
