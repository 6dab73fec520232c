package dbxcd.local;

import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableChange;
import org.apache.spark.sql.delta.skipping.clustering.temp.ClusterBy;

/** Table properties with a meaning on Databricks that open-source Delta does not give them. */
final class TableProperties {
  private static final String UNIFORM = "delta.universalFormat.enabledFormats";

  /** What dbt-databricks reads it from. */
  private static final String AUTO_CLUSTERING = "clusterByAuto";

  private TableProperties() {}

  static void check(Map<String, String> properties) {
    properties.forEach(TableProperties::check);
  }

  static void check(TableChange[] changes) {
    for (TableChange change : changes) {
      if (change instanceof TableChange.SetProperty set) {
        check(set.property(), set.value());
      }
    }
  }

  private static void check(String property, String value) {
    String name = property.startsWith("option.") ? property.substring("option.".length()) : property;
    if (name.equalsIgnoreCase(UNIFORM) && !value.isBlank()) {
      throw ErrorConditions.error(
          "DELTA_UNIVERSAL_FORMAT_VIOLATION",
          "format", value,
          "violation",
              "this workspace runs open-source Delta, which has no writer for it here, so leave out " + UNIFORM);
    }
  }

  /** Clustering by given columns, or by none, ends the automatic one, which CLUSTER BY AUTO left as a property. */
  static Optional<TableChange> withoutAutoClustering(TableChange[] changes, Table table) {
    boolean clusters = Arrays.stream(changes).anyMatch(ClusterBy.class::isInstance);
    return clusters && table.properties().containsKey(AUTO_CLUSTERING)
        ? Optional.of(TableChange.removeProperty(AUTO_CLUSTERING))
        : Optional.empty();
  }
}
