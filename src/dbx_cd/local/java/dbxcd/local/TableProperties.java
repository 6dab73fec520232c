package dbxcd.local;

import java.util.Map;
import org.apache.spark.sql.connector.catalog.TableChange;

/** Table properties that open-source Delta takes and does not carry out are refused: UniForm, before anything is done. */
final class TableProperties {
  private static final String UNIFORM = "delta.universalFormat.enabledFormats";

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
}
