package dbxcd.local;

import java.util.concurrent.Callable;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import org.apache.spark.sql.catalyst.TableIdentifier;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.parser.ParameterContext;
import org.apache.spark.sql.catalyst.parser.ParameterHandler;
import org.apache.spark.sql.catalyst.parser.ParseException;
import org.apache.spark.sql.catalyst.parser.ParserInterface;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;
import scala.collection.immutable.Seq;
import scala.runtime.AbstractFunction1;

/**
 * Delta 4.4.0's parser drops the parameters of {@code spark.sql(text, args)}: {@code :name},
 * {@code ?} and {@code IDENTIFIER(:name)} fail. This session extension substitutes them, as Spark's
 * own parser does, before Delta's parser sees the text. List it after Delta's extension.
 */
public final class ParameterParser extends AbstractFunction1<SparkSessionExtensions, Object> {
  @Override
  public Object apply(SparkSessionExtensions extensions) {
    extensions.injectParser(Parser::new);
    extensions.injectResolutionRule(FileTables::new);
    extensions.injectPostHocResolutionRule(session -> new DeclaredTypes());
    return null;
  }

  private record Parser(SparkSession session, ParserInterface next) implements ParserInterface {
    @Override
    public LogicalPlan parsePlanWithParameters(String sql, ParameterContext parameters) {
      return call(() -> parsePlan(substituted(sql, parameters)));
    }

    /** Catalogs can be created while sessions are open: each session learns of them where it reads names. */
    private void offerCatalogs() {
      Registry.of(session).catalogs().offer(session);
    }

    /** Statements of Delta's own grammar, such as OPTIMIZE, cannot have parameters. */
    private static String substituted(String sql, ParameterContext parameters) {
      try {
        return ParameterHandler.substituteParameters(sql, parameters)._1();
      } catch (Exception e) { // Scala does not declare what it throws
        if (e instanceof ParseException) {
          return sql;
        }
        throw Exceptions.unchecked(e);
      }
    }

    @Override
    public LogicalPlan parsePlan(String sql) {
      offerCatalogs();
      return call(() -> ReplaceCriteria.asWriterOptions(next.parsePlan(ReferencedKeys.written(sql)), sql));
    }

    @Override
    public LogicalPlan parseQuery(String sql) {
      return call(() -> next.parseQuery(sql));
    }

    @Override
    public Expression parseExpression(String sql) {
      return call(() -> next.parseExpression(sql));
    }

    @Override
    public TableIdentifier parseTableIdentifier(String sql) {
      return call(() -> next.parseTableIdentifier(sql));
    }

    @Override
    public FunctionIdentifier parseFunctionIdentifier(String sql) {
      return call(() -> next.parseFunctionIdentifier(sql));
    }

    @Override
    public Seq<String> parseMultipartIdentifier(String sql) {
      offerCatalogs();
      return call(() -> next.parseMultipartIdentifier(sql));
    }

    @Override
    public StructType parseRoutineParam(String sql) {
      return call(() -> next.parseRoutineParam(sql));
    }

    @Override
    public StructType parseTableSchema(String sql) {
      return call(() -> next.parseTableSchema(sql));
    }

    @Override
    public DataType parseDataType(String sql) {
      return call(() -> next.parseDataType(sql));
    }
  }

  private static <T> T call(Callable<T> parse) {
    try {
      return parse.call();
    } catch (Exception e) {
      throw Exceptions.unchecked(e);
    }
  }
}
