package dbxcd.local;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.catalog.CatalogTable;
import org.apache.spark.sql.catalyst.catalog.UnresolvedCatalogRelation;
import org.apache.spark.sql.catalyst.expressions.AttributeReference;
import org.apache.spark.sql.catalyst.expressions.ExprId;
import org.apache.spark.sql.catalyst.expressions.Literal;
import org.apache.spark.sql.catalyst.plans.logical.AppendData;
import org.apache.spark.sql.catalyst.plans.logical.InsertIntoStatement;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.OverwriteByExpression;
import org.apache.spark.sql.catalyst.plans.logical.OverwritePartitionsDynamic;
import org.apache.spark.sql.catalyst.plans.logical.V2WriteCommand;
import org.apache.spark.sql.catalyst.rules.Rule;
import org.apache.spark.sql.execution.datasources.FindDataSourceTable;
import org.apache.spark.sql.execution.datasources.LogicalRelation;
import org.apache.spark.sql.execution.datasources.v2.DataSourceV2Relation;
import scala.Option;
import scala.jdk.javaapi.CollectionConverters;
import scala.runtime.AbstractPartialFunction;

/**
 * Tables of Parquet, CSV or JSON files. Spark reads and writes those of its own session catalog; in
 * any other catalog it takes them for tables that can do neither. This rule gives them to Spark's
 * own readers and writers of files.
 */
final class FileTables extends Rule<LogicalPlan> {
  /** The formats of files that CREATE TABLE ... USING names, besides Delta. */
  private static final Set<String> FORMATS =
      Set.of("parquet", "csv", "json", "orc", "text", "avro");

  private final SparkSession session;

  FileTables(SparkSession session) {
    this.session = session;
  }

  static boolean isFormat(String provider) {
    return provider != null && FORMATS.contains(provider.toLowerCase(Locale.ROOT));
  }

  @Override
  public LogicalPlan apply(LogicalPlan plan) {
    return plan.resolveOperatorsDown(new InFiles());
  }

  private final class InFiles extends AbstractPartialFunction<LogicalPlan, LogicalPlan> {
    @Override
    public boolean isDefinedAt(LogicalPlan plan) {
      return isInFiles(plan)
          || (plan instanceof V2WriteCommand write
              && write.table() instanceof LogicalPlan table
              && isInFiles(table)
              && write.query().resolved());
    }

    @Override
    public LogicalPlan apply(LogicalPlan plan) {
      return plan instanceof DataSourceV2Relation relation
          ? files(relation)
          : written((V2WriteCommand) plan);
    }
  }

  private static boolean isInFiles(LogicalPlan plan) {
    return plan instanceof DataSourceV2Relation relation
        && relation.table() instanceof FilesTable;
  }

  /** The list of a table's files is read anew: another session may have written some. */
  private LogicalPlan files(DataSourceV2Relation relation) {
    CatalogTable table = ((FilesTable) relation.table()).catalogTable();
    session.sessionState().catalog().invalidateAllCachedTables();
    LogicalRelation found =
        (LogicalRelation)
            new FindDataSourceTable((org.apache.spark.sql.classic.SparkSession) session)
                .apply(new UnresolvedCatalogRelation(table, relation.options(), false));
    Map<String, ExprId> known = new HashMap<>();
    CollectionConverters.asJava(relation.output())
        .forEach(column -> known.put(column.name(), column.exprId()));
    List<AttributeReference> columns =
        CollectionConverters.asJava(found.output()).stream()
            .map(column -> column.withExprId(known.get(column.name())))
            .toList();
    return found.copy(
        found.relation(),
        CollectionConverters.asScala(columns).toSeq(),
        found.catalogTable(),
        found.isStreaming(),
        found.stream());
  }

  private LogicalPlan written(V2WriteCommand write) {
    LogicalPlan files = files((DataSourceV2Relation) write.table());
    Map<String, String> options = Map.of();
    if (write instanceof OverwriteByExpression overwrite) {
      options = CollectionConverters.asJava(overwrite.writeOptions());
    }
    boolean whole =
        write instanceof AppendData
            || write instanceof OverwritePartitionsDynamic
            || (write instanceof OverwriteByExpression overwrite
                && overwrite.deleteExpr() instanceof Literal);
    if (!whole || options.containsKey("replaceOn") || options.containsKey("replaceUsing")) {
      throw ErrorConditions.error(
          "UNSUPPORTED_FEATURE.TABLE_OPERATION",
          "tableName", ((DataSourceV2Relation) write.table()).name(),
          "operation", "replacing some of its rows, because it is not a Delta table");
    }
    return new InsertIntoStatement(
        files,
        scala.collection.immutable.Map$.MODULE$.empty(),
        CollectionConverters.asScala(List.<String>of()).toSeq(),
        write.query(),
        !(write instanceof AppendData),
        false,
        write.isByName(),
        Option.empty(),
        false);
  }
}
