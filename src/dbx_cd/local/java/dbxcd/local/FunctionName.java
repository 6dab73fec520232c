package dbxcd.local;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import scala.Option;

/** A function of a local catalog, in lower case; {@code database} is its schema's name in the session catalog. */
record FunctionName(String catalog, String schema, String name, String database) {
  /** Empty where the name belongs to none of the local catalogs. */
  static Optional<FunctionName> of(SparkSession session, List<String> parts, List<String> context) {
    List<String> name = new ArrayList<>(parts);
    if (name.size() < 3 && context.size() == 2) {
      name.addAll(0, context.subList(0, 3 - name.size()));
    }
    if (name.isEmpty() || name.size() > 3) {
      return Optional.empty();
    }
    List<String> qualified = Statements.qualify(session, name);
    if (qualified.size() != 3 || !SystemCatalog.catalogs().contains(qualified.get(0))) {
      return Optional.empty();
    }
    String database = PhysicalNames.database(qualified.get(0), qualified.get(1));
    return Optional.of(new FunctionName(qualified.get(0), qualified.get(1), qualified.get(2), database));
  }

  boolean exists(SparkSession session) {
    return Registry.of(session).functions().has(database, name);
  }

  String quotedSchema() {
    return "`" + catalog + "`.`" + schema.replace("`", "``") + "`";
  }

  List<String> inSessionCatalog() {
    return List.of("spark_catalog", database, name);
  }

  /** Sessions keep what they have looked up, and another session may have replaced it meanwhile. */
  void forget(SparkSession session) {
    session
        .sessionState()
        .catalog()
        .unregisterFunction(
            new FunctionIdentifier(name, Option.apply(database), Option.apply("spark_catalog")));
  }
}
