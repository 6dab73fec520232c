package dbxcd.local;

import dbxcd.local.rights.Judge;
import dbxcd.local.rights.Need;
import java.util.Optional;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.plans.logical.Command;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import scala.runtime.AbstractFunction1;
import scala.runtime.BoxedUnit;

/**
 * Refuses statements for which the session's user lacks a right. Every plan that Spark has analysed comes past here,
 * whatever it was made from: SQL, DataFrames, EXPLAIN, the text of views, what a variable holds. A session without a
 * user is the workspace's own.
 */
public final class PlanGuard extends AbstractFunction1<SparkSessionExtensions, Object> {
  @Override
  public Object apply(SparkSessionExtensions extensions) {
    extensions.injectCheckRule(Check::new);
    return null;
  }

  private static final class Check extends AbstractFunction1<LogicalPlan, BoxedUnit> implements PlanNeeds.Guard {
    private final SparkSession session;

    Check(SparkSession session) {
      this.session = session;
    }

    @Override
    public BoxedUnit apply(LogicalPlan plan) {
      String user = SessionUser.of(session);
      if (user != null) {
        new PlanNeeds(session, this).of(plan, user);
      }
      return BoxedUnit.UNIT;
    }

    @Override
    public void require(String user, Need need) {
      Judge judge = Rights.of(session).judge();
      Optional<Need> missing = judge.missing(user, need);
      if (missing.isPresent() && !isPartOfWhatWasAllowed()) {
        throw Denials.insufficient(missing.get());
      }
    }

    @Override
    public void unknown(Command command) {
      if (!isPartOfWhatWasAllowed()) {
        throw Denials.insufficient(
            "This workspace does not know what rights " + ((LogicalPlan) command).nodeName() + " takes, and refuses it.");
      }
    }

    /**
     * Whether Spark or Delta is amid something that has been checked, or will be, as a whole. Delta's commands read the
     * files of the tables that they were allowed to change. Spark checks the text of a view, and a subquery, first by
     * itself, as if it were the caller's, and then in the plan that it belongs to, where it may be read with the rights
     * of an owner.
     */
    private static boolean isPartOfWhatWasAllowed() {
      return OngoingWork.isAny(Check::isAllowedWork);
    }

    private static boolean isAllowedWork(StackWalker.StackFrame frame) {
      String name = frame.getClassName();
      return name.startsWith("org.apache.spark.sql.delta.commands.")
          || name.startsWith("org.apache.spark.sql.catalyst.analysis.ViewResolution")
          || (name.startsWith("org.apache.spark.sql.catalyst.analysis.CheckAnalysis")
              && frame.getMethodName().contains("checkSubqueryExpression"));
    }
  }
}
