package dbxcd.local;

import java.util.ArrayList;
import java.util.List;
import org.apache.spark.sql.ExperimentalMethods;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.rules.Rule;
import org.apache.spark.sql.classic.SparkSession;
import scala.jdk.javaapi.CollectionConverters;

/**
 * The user whose token a session was opened with. It is kept among the session's own optimizer rules, as one that
 * changes no plan: no statement reaches those, and Spark hands them on to a clone, such as the session of a stream.
 */
public final class SessionUser extends Rule<LogicalPlan> {
  private final String name;

  private SessionUser(String name) {
    this.name = name;
  }

  /**
   * Gives a session its user. SQL's {@code reflect()} calls static methods too, but passes only text, numbers and
   * booleans: no public method here may do with those.
   */
  public static void set(SparkSession session, String name) {
    ExperimentalMethods own = session.sessionState().experimentalMethods();
    List<Rule<LogicalPlan>> rules = new ArrayList<>(CollectionConverters.asJava(own.extraOptimizations()));
    rules.removeIf(SessionUser.class::isInstance);
    rules.add(new SessionUser(name));
    own.extraOptimizations_$eq(CollectionConverters.asScala(rules).toSeq());
  }

  /** The user of the session whose statement runs on this thread; null where it has none. */
  static String active() {
    var session = SparkSession.getActiveSession();
    return session.isEmpty() ? null : of(session.get());
  }

  /** The user of a session; null where it has none. */
  static String of(org.apache.spark.sql.SparkSession session) {
    var rules = ((SparkSession) session).sessionState().experimentalMethods().extraOptimizations();
    for (Object rule : CollectionConverters.asJava(rules)) {
      if (rule instanceof SessionUser user) {
        return user.name;
      }
    }
    return null;
  }

  @Override
  public LogicalPlan apply(LogicalPlan plan) {
    return plan;
  }
}
