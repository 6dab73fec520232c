package dbxcd.local;

import java.util.Map;
import java.util.Set;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.StagedTable;
import org.apache.spark.sql.connector.catalog.SupportsWrite;
import org.apache.spark.sql.connector.catalog.TableCapability;
import org.apache.spark.sql.connector.expressions.Transform;
import org.apache.spark.sql.connector.metric.CustomTaskMetric;
import org.apache.spark.sql.connector.write.LogicalWriteInfo;
import org.apache.spark.sql.connector.write.WriteBuilder;

/** A staged table that does one more thing once it is committed, and another once it is over. */
final class StagedRelation implements StagedTable, SupportsWrite {
  private final StagedTable staged;
  private final Runnable afterCommit;
  private final Runnable atTheEnd;

  /**
   * @param atTheEnd done after the commit, failed or not, and after an abort.
   */
  StagedRelation(StagedTable staged, Runnable afterCommit, Runnable atTheEnd) {
    this.staged = staged;
    this.afterCommit = afterCommit;
    this.atTheEnd = atTheEnd;
  }

  @Override
  public void commitStagedChanges() {
    try {
      staged.commitStagedChanges();
      afterCommit.run();
    } finally {
      atTheEnd.run();
    }
  }

  @Override
  public void abortStagedChanges() {
    try {
      staged.abortStagedChanges();
    } finally {
      atTheEnd.run();
    }
  }

  @Override
  public CustomTaskMetric[] reportDriverMetrics() {
    return staged.reportDriverMetrics();
  }

  @Override
  public WriteBuilder newWriteBuilder(LogicalWriteInfo info) {
    return ((SupportsWrite) staged).newWriteBuilder(info);
  }

  @Override
  public String name() {
    return staged.name();
  }

  @Override
  public Column[] columns() {
    return staged.columns();
  }

  @Override
  public Transform[] partitioning() {
    return staged.partitioning();
  }

  @Override
  public Map<String, String> properties() {
    return staged.properties();
  }

  @Override
  public Set<TableCapability> capabilities() {
    return staged.capabilities();
  }
}
