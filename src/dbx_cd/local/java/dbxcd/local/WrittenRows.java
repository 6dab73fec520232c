package dbxcd.local;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Collections;
import java.util.Map;
import java.util.WeakHashMap;
import org.apache.spark.sql.classic.SparkSession;

/**
 * How many rows the latest commit of each session wrote, by the metrics that Delta puts into the commit itself: what
 * Databricks answers to an INSERT, and open-source Delta does not.
 */
public final class WrittenRows {
  private static final Map<SparkSession, Long> LATEST =
      Collections.synchronizedMap(new WeakHashMap<>());

  private WrittenRows() {}

  /** Remembers what a commit says of itself; Delta makes it on the thread that runs the statement. */
  static void remember(JsonNode commitInfo) {
    var session = SparkSession.getActiveSession();
    if (session.isEmpty()) {
      return;
    }
    JsonNode metrics = commitInfo.path("operationMetrics");
    JsonNode rows = metrics.path("numOutputRows");
    if (rows.isMissingNode()) {
      LATEST.remove(session.get());
    } else {
      // REPLACE WHERE copies rows that it leaves as they are, and counts them as well
      LATEST.put(session.get(), rows.asLong() - metrics.path("numCopiedRows").asLong());
    }
  }

  /** The rows that the latest commit of the session wrote, once; null where there was none since. */
  public static Long take(SparkSession session) {
    return LATEST.remove(session);
  }
}
