package dbxcd.local;

import dbxcd.local.Contents.Namespace;
import dbxcd.local.StoredFunctions.StoredFunction;
import dbxcd.local.rights.Securable;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.catalog.SQLFunction;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/** The relations of information_schema about functions: their columns, and their rows from the registry. */
final class RoutineRows {
  private static final String ROUTINE =
      "specific_catalog string, specific_schema string, specific_name string, ";

  /** The relations and their columns, a part of those that the Databricks SQL reference lists. */
  static final Map<String, String> RELATIONS = new LinkedHashMap<>();

  static {
    RELATIONS.put(
        "routines",
        ROUTINE
            + "routine_catalog string, routine_schema string, routine_name string, routine_owner string, "
            + "routine_type string, data_type string, full_data_type string, routine_body string, "
            + "routine_definition string, external_language string, parameter_style string, "
            + "is_deterministic string, sql_data_access string, is_null_call string, security_type string, "
            + "created timestamp, created_by string, last_altered timestamp, last_altered_by string, comment string");
    RELATIONS.put(
        "parameters",
        ROUTINE
            + "ordinal_position int, parameter_mode string, is_result string, parameter_name string, "
            + "data_type string, full_data_type string, parameter_default string, comment string");
    RELATIONS.put(
        "routine_columns",
        ROUTINE
            + "column_name string, ordinal_position int, data_type string, full_data_type string, comment string");
  }

  private final SparkSession session;
  private final List<String> catalogs;
  private final Consumer<Object[]> rows;

  RoutineRows(SparkSession session, List<String> catalogs, Consumer<Object[]> rows) {
    this.session = session;
    this.catalogs = catalogs;
    this.rows = rows;
  }

  void add(String relation) {
    Registry registry = Registry.of(session);
    SeenObjects seen = SeenObjects.of(session);
    for (StoredFunction stored : registry.functions().all()) {
      Namespace namespace = registry.namespace(stored.database()).orElse(null);
      if (namespace == null
          || !catalogs.contains(namespace.catalog())
          || !SQLFunction.isSQLFunction(stored.className())) {
        continue;
      }
      Securable securable = SecurableNames.function(registry, stored.database(), stored.name());
      if (!seen.sees(securable)) {
        continue;
      }
      SQLFunction function =
          SQLFunction.fromCatalogFunction(stored.toSpark(), session.sessionState().sqlParser());
      Object[] name = {namespace.catalog(), namespace.schema(), stored.name()};
      switch (relation) {
        case "routines" -> addRoutine(name, function, seen.owner(securable));
        case "parameters" -> {
          if (function.inputParam().isDefined()) {
            addColumns(name, function.inputParam().get(), true);
          }
        }
        default -> {
          if (function.isTableFunc()) {
            addColumns(name, function.getTableFuncReturnCols(), false);
          }
        }
      }
    }
  }

  private void addRoutine(Object[] name, SQLFunction function, String owner) {
    String type = function.isTableFunc() ? "TABLE" : fullType(function.getScalarFuncReturnType());
    long created = function.createTimeMs() * 1000;
    rows.accept(
        new Object[] {
          name[0],
          name[1],
          name[2],
          name[0],
          name[1],
          name[2],
          owner,
          "FUNCTION",
          simpleType(type),
          type,
          "SQL",
          ownNames(function.exprText().isDefined() ? function.exprText().get() : function.queryText().get()),
          null,
          "SQL",
          function.deterministic().exists(value -> (Boolean) value) ? "YES" : "NO",
          function.containsSQL().exists(value -> (Boolean) value) ? "CONTAINS_SQL" : "READS_SQL_DATA",
          "YES",
          "DEFINER",
          created,
          owner,
          created,
          owner,
          function.comment().isDefined() ? function.comment().get() : null
        });
  }

  /** In a function's text the other functions have their names in Spark's session catalog. */
  private String ownNames(String text) {
    Registry registry = Registry.of(session);
    String own = text;
    for (StoredFunction called : registry.functions().all()) {
      Namespace namespace = registry.namespace(called.database()).orElse(null);
      if (namespace != null) {
        String schema = "`" + namespace.catalog() + "`.`" + namespace.schema() + "`.`";
        own = own.replace("`" + called.database() + "`.`", schema);
      }
    }
    return own;
  }

  private void addColumns(Object[] name, StructType columns, boolean parameters) {
    int position = 0; // both relations are documented to number from 1, as columns are
    for (StructField field : columns.fields()) {
      String type = fullType(field.dataType());
      String comment = field.getComment().isDefined() ? field.getComment().get() : null;
      position++;
      if (parameters) {
        String value = field.metadata().contains("default") ? field.metadata().getString("default") : null;
        rows.accept(
            new Object[] {
              name[0], name[1], name[2], position, "IN", "NO", field.name(), simpleType(type), type, value, comment
            });
      } else {
        rows.accept(
            new Object[] {name[0], name[1], name[2], field.name(), position, simpleType(type), type, comment});
      }
    }
  }

  private static String fullType(DataType type) {
    return type.sql().toLowerCase(Locale.ROOT);
  }

  private static String simpleType(String type) {
    return type.replaceAll("[(<].*", "").toUpperCase(Locale.ROOT);
  }
}
