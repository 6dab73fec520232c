package dbxcd.local;

import dbxcd.local.rights.Need;
import org.apache.spark.QueryContext;
import org.apache.spark.sql.AnalysisException;
import scala.Option;

/** What the platform says to who may not do something, or asks for what is not there. */
final class Denials {
  private Denials() {}

  static RuntimeException insufficient(Need missing) {
    return insufficient(missing.denial());
  }

  /** {@code what} says what is refused and why; it names the object. */
  static RuntimeException insufficient(String what) {
    return ErrorConditions.error("INSUFFICIENT_PERMISSIONS", "report", what);
  }

  /** With an error class of Databricks' and the SQLSTATE that belongs to it. */
  static RuntimeException error(String errorClass, String text, String sqlState) {
    String message = "[" + errorClass + "] " + text + " SQLSTATE: " + sqlState;
    return Exceptions.unchecked(
        new AnalysisException(
            message,
            Option.empty(),
            Option.empty(),
            Option.empty(),
            Option.apply(errorClass),
            scala.collection.immutable.Map$.MODULE$.empty(),
            new QueryContext[0],
            Option.apply(sqlState),
            Option.apply(message)));
  }
}
