package dbxcd.local;

import static org.apache.spark.sql.catalyst.trees.TreePattern.PLAN_EXPRESSION;
import static org.apache.spark.sql.catalyst.trees.TreePattern.SQL_SCALAR_FUNCTION;

import dbxcd.local.rights.Need;
import dbxcd.local.rights.Privilege;
import dbxcd.local.rights.Securable;
import java.util.List;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import org.apache.spark.sql.catalyst.analysis.SQLFunctionNode;
import org.apache.spark.sql.catalyst.analysis.SQLScalarFunction;
import org.apache.spark.sql.catalyst.catalog.SQLFunction;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.PlanExpression;
import org.apache.spark.sql.catalyst.plans.logical.Command;
import org.apache.spark.sql.catalyst.plans.logical.CommandResult;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.View;
import scala.Enumeration;
import scala.collection.immutable.Seq;
import scala.jdk.javaapi.CollectionConverters;

/**
 * What an analysed plan needs, and of whom: what a view or a function reads is needed of its owner (documentation,
 * "Manage privileges": who has SELECT on a view, or EXECUTE on a function, needs nothing on what it reads).
 */
final class PlanNeeds {
  /** Who is told what a plan needs. */
  interface Guard {
    /** {@code user} must have it; null is the workspace itself. */
    void require(String user, Need need);

    /** Nobody has said what a command needs. */
    void unknown(Command command);
  }

  private static final Seq<Enumeration.Value> CALLS =
      CollectionConverters.asScala(List.of(PLAN_EXPRESSION(), SQL_SCALAR_FUNCTION())).toSeq();

  private final PlanObjects objects;
  private final CommandNeeds commands;
  private final Guard guard;
  private final RightsState rights;

  PlanNeeds(SparkSession session, Guard guard) {
    this.objects = new PlanObjects(Registry.of(session));
    this.commands = new CommandNeeds(objects);
    this.guard = guard;
    this.rights = Rights.of(session);
  }

  /** Who reads a part of a plan, and who has called the function in whose body it stands. */
  private record Reader(String user, String caller) {
    Reader(String user) {
      this(user, user);
    }
  }

  void of(LogicalPlan plan, String user) {
    of(plan, new Reader(user));
  }

  private void of(LogicalPlan plan, Reader reader) {
    if (plan instanceof CommandResult) {
      return; // it was checked before it ran
    }
    if (plan instanceof View view && !view.isTempView()) {
      Securable securable = objects.table(view.desc().identifier());
      guard.require(reader.user(), Need.of(Privilege.SELECT, securable));
      of(view.child(), new Reader(rights.ledger().ownerOf(securable)));
      return;
    }
    if (plan instanceof SQLFunctionNode node) {
      of(node.child(), inBodyOf(node.function(), reader));
      return;
    }
    if (plan instanceof Command command) {
      ofCommand(command, reader);
    } else {
      objects.named(plan).ifPresent(on -> guard.require(reader.user(), Need.sight(on)));
      objects.written(plan).forEach(on -> guard.require(reader.user(), Need.of(Privilege.MODIFY, on)));
      objects.read(plan).forEach(on -> guard.require(reader.user(), Need.of(Privilege.SELECT, on)));
      CollectionConverters.asJava(plan.children()).forEach(child -> of(child, reader));
    }
    if (plan.containsAnyPattern(CALLS)) {
      CollectionConverters.asJava(plan.expressions()).forEach(expression -> of(expression, reader));
    }
  }

  private void ofCommand(Command command, Reader reader) {
    List<Need> needs = commands.of(command).orElse(null);
    if (needs == null) {
      guard.unknown(command);
    } else {
      needs.forEach(need -> guard.require(reader.user(), need));
    }
    commands.queries(command).forEach(query -> of(query, reader));
  }

  private void of(Expression expression, Reader reader) {
    if (expression instanceof PlanExpression<?> query && query.plan() instanceof LogicalPlan plan) {
      of(plan, FunctionNames.isArgument(expression) ? new Reader(reader.caller()) : reader);
    }
    Reader within =
        expression instanceof SQLScalarFunction call ? inBodyOf(call.function(), reader) : reader;
    for (Expression child : CollectionConverters.asJava(expression.children())) {
      of(child, within);
    }
  }

  /** The body of a function is read by its owner; whoever creates one must be able to read all of it. */
  private Reader inBodyOf(SQLFunction function, Reader reader) {
    FunctionIdentifier name = function.name();
    if (!objects.exists(name)) {
      return reader;
    }
    Securable securable = objects.function(name);
    guard.require(reader.user(), Need.of(Privilege.EXECUTE, securable));
    return new Reader(rights.ledger().ownerOf(securable), reader.user());
  }
}
