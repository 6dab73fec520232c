package dbxcd.local;

import java.lang.reflect.Field;
import java.net.URL;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.ErrorClassesJsonReader;
import org.apache.spark.ErrorInfo;
import org.apache.spark.ErrorSubInfo;
import org.apache.spark.SparkThrowableHelper$;
import org.apache.spark.sql.AnalysisException;
import org.apache.spark.sql.delta.DeltaLog;
import scala.Option;
import scala.jdk.javaapi.CollectionConverters;

/**
 * The list of named errors that Spark writes messages from. Some of Delta's errors are raised through Spark's list,
 * which lacks them: a MERGE on a missing column says INTERNAL_ERROR and no column. And the refusals of Unity Catalog
 * that this workspace makes are in neither.
 */
final class ErrorConditions {
  /**
   * Of Unity Catalog, by its documentation ("Error conditions in Databricks") and by what dbt-databricks' issues quote of
   * it: 676 for a nullable key, 1165 for a table's type. Which name it gives to INVALID_STATE is not documented.
   */
  private static final Map<String, ErrorInfo> OF_UNITY_CATALOG =
      Map.of(
          "CANNOT_DROP_AMBIGUOUS_CONSTRAINT",
          condition(
              "42K0C",
              "Cannot drop the constraint with the name <constraintName> shared by a CHECK constraint and a PRIMARY "
                  + "KEY or FOREIGN KEY constraint. Drop the key by DROP PRIMARY KEY or DROP FOREIGN KEY."),
          "CANNOT_SHALLOW_CLONE_NESTED",
          condition("0AKUC", "Cannot shallow-clone a table <table> that is already a shallow clone."),
          "FOREIGN_KEY_MISMATCH",
          condition(
              "42830",
              "Foreign key parent columns <parentColumns> do not match primary key child columns <childColumns>."),
          "INSUFFICIENT_PERMISSIONS",
          condition("42501", "Insufficient privileges:\n<report>"),
          "INVALID_STATE",
          group(
              "55000",
              Map.of(
                  "NULLABLE_KEY",
                  "Cannot create the primary key <name> because its child column(s) <columns> is nullable. "
                      + "Please change the column nullability and retry.",
                  "DEPENDENT_FOREIGN_KEY",
                  "A foreign key <foreignKey> depends on the primary key <name>. Drop it first, or use CASCADE.")),
          "INVALID_PARAMETER_VALUE",
          group("22023", Map.of("UPDATE_TABLE_TYPE", "Changing table_type is not supported.")));

  private ErrorConditions() {}

  private static ErrorInfo condition(String sqlState, String message) {
    return new ErrorInfo(lines(message), Option.empty(), Option.apply(sqlState), Option.empty());
  }

  private static ErrorInfo group(String sqlState, Map<String, String> messages) {
    Map<String, ErrorSubInfo> conditions = new HashMap<>();
    messages.forEach(
        (name, message) -> conditions.put(name, new ErrorSubInfo(lines(message), Option.empty())));
    return new ErrorInfo(
        lines(""), Option.apply(immutable(conditions)), Option.apply(sqlState), Option.empty());
  }

  private static scala.collection.immutable.Seq<String> lines(String message) {
    return CollectionConverters.asScala(List.of(message)).toSeq();
  }

  private static <V> scala.collection.immutable.Map<String, V> immutable(Map<String, V> map) {
    return scala.collection.immutable.Map.from(CollectionConverters.asScala(map));
  }

  /** Adds to Spark's list what it lacks; done once for an application. */
  static void complete() {
    ErrorClassesJsonReader spark = SparkThrowableHelper$.MODULE$.errorReader();
    if (spark.isValidErrorClass("FOREIGN_KEY_MISMATCH")) {
      return;
    }
    URL delta = DeltaLog.class.getClassLoader().getResource("error/delta-error-classes.json");
    Map<String, ErrorInfo> all =
        new HashMap<>(
            CollectionConverters.asJava(
                new ErrorClassesJsonReader(CollectionConverters.asScala(List.of(delta)).toSeq())
                    .errorInfoMap()));
    all.putAll(CollectionConverters.asJava(spark.errorInfoMap()));
    OF_UNITY_CATALOG.forEach((name, added) -> all.merge(name, added, ErrorConditions::together));
    try {
      Field list = ErrorClassesJsonReader.class.getDeclaredField("errorInfoMap");
      list.setAccessible(true);
      list.set(spark, immutable(all));
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("Spark's list of errors cannot be completed", e);
    }
  }

  /** The condition of Spark's list, with the conditions in it that Unity Catalog adds. */
  private static ErrorInfo together(ErrorInfo spark, ErrorInfo added) {
    Map<String, ErrorSubInfo> conditions =
        new HashMap<>(CollectionConverters.asJava(added.subClass().get()));
    conditions.putAll(CollectionConverters.asJava(spark.subClass().get()));
    return new ErrorInfo(
        spark.message(),
        Option.apply(immutable(conditions)),
        spark.sqlState(),
        spark.breakingChangeInfo());
  }

  /** The error of that name; the parameters, name and value in turn, complete its message. */
  static RuntimeException error(String condition, String... parameters) {
    Map<String, String> values = new HashMap<>();
    for (int i = 0; i < parameters.length; i += 2) {
      values.put(parameters[i], parameters[i + 1]);
    }
    return Exceptions.unchecked(new AnalysisException(condition, immutable(values)));
  }
}
