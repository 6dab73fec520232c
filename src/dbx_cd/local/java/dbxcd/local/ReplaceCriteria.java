package dbxcd.local;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.spark.sql.catalyst.analysis.UnresolvedRelation;
import org.apache.spark.sql.catalyst.analysis.UnresolvedStar;
import org.apache.spark.sql.catalyst.expressions.Literal$;
import org.apache.spark.sql.catalyst.plans.logical.InsertIntoStatement;
import org.apache.spark.sql.catalyst.plans.logical.InsertReplaceOn;
import org.apache.spark.sql.catalyst.plans.logical.InsertReplaceUsing;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.OverwriteByExpression;
import org.apache.spark.sql.catalyst.plans.logical.Project;
import org.apache.spark.sql.catalyst.plans.logical.SubqueryAlias$;
import org.apache.spark.sql.catalyst.trees.CurrentOrigin;
import org.apache.spark.sql.catalyst.trees.Origin;
import org.apache.spark.sql.connector.catalog.TableWritePrivilege;
import scala.Option;
import scala.jdk.javaapi.CollectionConverters;
import scala.runtime.AbstractPartialFunction;

/**
 * INSERT INTO ... REPLACE ON and REPLACE USING. Spark 4.2 parses both and then refuses every table; Delta 4.4.0 carries
 * them out, in one commit and for any condition, when a writer asks by its options {@code replaceOn} and {@code
 * replaceUsing}. So the parsed statement becomes the overwrite that such a writer makes.
 */
final class ReplaceCriteria {
  private static final Pattern SOMEWHERE =
      Pattern.compile("\\breplace\\s+(on|using)\\b", Pattern.CASE_INSENSITIVE);

  private ReplaceCriteria() {}

  /** The plan with such statements rewritten; {@code sql} is its text, which tells quickly that there are none. */
  static LogicalPlan asWriterOptions(LogicalPlan plan, String sql) {
    return SOMEWHERE.matcher(sql).find() ? plan.transformDown(new Rewrite()) : plan;
  }

  private static final class Rewrite extends AbstractPartialFunction<LogicalPlan, LogicalPlan> {
    @Override
    public boolean isDefinedAt(LogicalPlan plan) {
      return plan instanceof InsertIntoStatement insert
          && insert.replaceCriteriaOpt().isDefined()
          && insert.table() instanceof UnresolvedRelation;
    }

    @Override
    public LogicalPlan apply(LogicalPlan plan) {
      InsertIntoStatement insert = (InsertIntoStatement) plan;
      if (insert.replaceCriteriaOpt().get() instanceof InsertReplaceOn on) {
        String alias = on.tableAliasOpt().getOrElse(() -> null);
        Map<String, String> options =
            alias == null
                ? Map.of("replaceOn", on.cond().sql())
                : Map.of("replaceOn", on.cond().sql(), "targetAlias", alias);
        return overwrite(insert, insert.query(), options);
      }
      List<String> columns =
          CollectionConverters.asJava(
              ((InsertReplaceUsing) insert.replaceCriteriaOpt().get()).cols());
      if (!insert.byName()) {
        return overwrite(
            insert, insert.query(), Map.of("replaceUsing", joined(columns, ",", c -> c.matches("\\w+") ? c : quoted(c))));
      }
      // Delta takes replaceUsing by position only. By name it is this condition.
      String condition =
          joined(columns, " AND ", c -> "__target." + quoted(c) + " = __source." + quoted(c));
      return overwrite(
          insert,
          SubqueryAlias$.MODULE$.apply("__source", insert.query()),
          Map.of("replaceOn", condition, "targetAlias", "__target"));
    }

    private static String joined(
        List<String> columns, String separator, Function<String, String> text) {
      return columns.stream().map(text).collect(Collectors.joining(separator));
    }

    private static String quoted(String column) {
      return "`" + column.replace("`", "``") + "`";
    }

    private static LogicalPlan overwrite(
        InsertIntoStatement insert, LogicalPlan query, Map<String, String> options) {
      Set<TableWritePrivilege> privileges =
          Set.of(TableWritePrivilege.INSERT, TableWritePrivilege.DELETE);
      UnresolvedRelation table =
          ((UnresolvedRelation) insert.table())
              .clearWritePrivileges()
              .requireWritePrivileges(
                  scala.collection.immutable.Set.from(CollectionConverters.asScala(privileges)));
      LogicalPlan selected =
          new Project(CollectionConverters.asScala(List.of(star())).toSeq(), query);
      // Delta knows a writer's overwrite by this: it comes from no text.
      Origin none =
          new Origin(
              Option.empty(),
              Option.empty(),
              Option.empty(),
              Option.empty(),
              Option.empty(),
              Option.empty(),
              Option.empty(),
              Option.empty(),
              Option.empty(),
              Option.empty());
      return CurrentOrigin.withOrigin(
          none,
          () ->
              new OverwriteByExpression(
                  table,
                  Literal$.MODULE$.TrueLiteral(),
                  selected,
                  scala.collection.immutable.Map.from(CollectionConverters.asScala(options)),
                  insert.byName(),
                  insert.withSchemaEvolution(),
                  Option.empty(),
                  Option.empty()));
    }

    private static org.apache.spark.sql.catalyst.expressions.NamedExpression star() {
      return new UnresolvedStar(Option.empty());
    }
  }
}
