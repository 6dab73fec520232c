package dbxcd.local;

import java.util.List;
import java.util.Set;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.CurrentUserContext;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import org.apache.spark.sql.catalyst.encoders.ExpressionEncoder;
import org.apache.spark.sql.catalyst.expressions.CurrentUser;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.ExpressionInfo;
import org.apache.spark.sql.catalyst.expressions.Literal;
import org.apache.spark.sql.catalyst.expressions.ScalaUDF;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.rules.Rule;
import org.apache.spark.sql.catalyst.trees.TreePattern;
import org.apache.spark.sql.errors.QueryCompilationErrors;
import org.apache.spark.sql.types.DataTypes;
import scala.Function1;
import scala.Option;
import scala.Tuple3;
import scala.collection.immutable.Seq;
import scala.jdk.javaapi.CollectionConverters;
import scala.runtime.AbstractFunction1;
import scala.runtime.AbstractPartialFunction;

/**
 * What SQL says of the session's user: {@code current_user()} and its synonyms, {@code is_member()} and
 * {@code is_account_group_member()}. In a view they are about who reads it, as on the platform.
 */
public final class UserFunctions extends AbstractFunction1<SparkSessionExtensions, Object> {
  @Override
  public Object apply(SparkSessionExtensions extensions) {
    // Rules for hints are the first that run: Spark works defaults of columns out while it looks names up.
    extensions.injectHintResolutionRule(Telling::new);
    extensions.injectPostHocResolutionRule(Naming::new);
    for (String name : List.of("is_member", "is_account_group_member")) {
      extensions.injectFunction(
          new Tuple3<>(
              new FunctionIdentifier(name),
              new ExpressionInfo(UserFunctions.class.getName(), name),
              new Membership(name)));
    }
    return null;
  }

  /** Tells Spark whose session this is, for what is no part of the plan: a column's default, a CHECK of Delta's. */
  private static final class Telling extends Rule<LogicalPlan> {
    private final SparkSession session;

    Telling(SparkSession session) {
      this.session = session;
    }

    @Override
    public LogicalPlan apply(LogicalPlan plan) {
      String user = SessionUser.of(session);
      if (user == null) {
        CurrentUserContext.CURRENT_USER().remove();
      } else {
        CurrentUserContext.CURRENT_USER().set(user);
      }
      return plan;
    }
  }

  /** Puts the user's name where Spark would put that of the process's. */
  private static final class Naming extends Rule<LogicalPlan> {
    private final SparkSession session;

    Naming(SparkSession session) {
      this.session = session;
    }

    @Override
    public LogicalPlan apply(LogicalPlan plan) {
      String user = SessionUser.of(session);
      if (user == null || !plan.containsPattern(TreePattern.CURRENT_LIKE())) {
        return plan;
      }
      return (LogicalPlan) plan.transformAllExpressions(naming(Literal.create(user, DataTypes.StringType)));
    }

    private static AbstractPartialFunction<Expression, Expression> naming(Literal user) {
      return new AbstractPartialFunction<>() {
        @Override
        public boolean isDefinedAt(Expression expression) {
          return expression instanceof CurrentUser;
        }

        @Override
        public <A extends Expression, B> B applyOrElse(A expression, Function1<A, B> otherwise) {
          @SuppressWarnings("unchecked")
          B named = (B) user;
          return isDefinedAt(expression) ? named : otherwise.apply(expression);
        }
      };
    }
  }

  private static final class Membership extends AbstractFunction1<Seq<Expression>, Expression> {
    private final String name;

    Membership(String name) {
      this.name = name;
    }

    @Override
    public Expression apply(Seq<Expression> arguments) {
      if (arguments.size() != 1) {
        throw Exceptions.unchecked(
            QueryCompilationErrors.wrongNumArgsError(
                name, seq(List.<Object>of(1)), arguments.size(), "", "", ""));
      }
      SparkSession session = SparkSession.active();
      String user = SessionUser.of(session);
      Set<String> groups = user == null ? Set.of() : Set.copyOf(Rights.of(session).principals().namesOf(user));
      return new ScalaUDF(
          new IsIn(groups),
          DataTypes.BooleanType,
          arguments,
          seq(List.<Option<ExpressionEncoder<?>>>of()),
          Option.empty(),
          Option.apply(name),
          true,
          true);
    }

    private static <T> Seq<T> seq(List<T> list) {
      return CollectionConverters.asScala(list).toSeq();
    }
  }

  /** Whether a name is one of those; of NULL it is not known. */
  private static final class IsIn extends AbstractFunction1<Object, Object> implements java.io.Serializable {
    private final Set<String> groups;

    IsIn(Set<String> groups) {
      this.groups = groups;
    }

    @Override
    public Object apply(Object group) {
      return group == null ? null : groups.contains(group.toString());
    }
  }
}
