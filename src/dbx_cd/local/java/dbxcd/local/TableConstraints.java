package dbxcd.local;

import dbxcd.local.Contents.Key;
import dbxcd.local.Contents.Reference;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.apache.spark.sql.catalyst.analysis.NoSuchTableException;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.catalog.constraints.Check;
import org.apache.spark.sql.connector.catalog.constraints.Constraint;
import org.apache.spark.sql.connector.catalog.constraints.ForeignKey;
import org.apache.spark.sql.connector.catalog.constraints.PrimaryKey;
import org.apache.spark.sql.connector.expressions.NamedReference;
import org.apache.spark.sql.delta.constraints.AddConstraint;

/**
 * Constraints of CREATE TABLE and ALTER TABLE: CHECK goes to Delta, which enforces it; primary and
 * foreign keys are informational, as on Unity Catalog, and go to the registry.
 */
final class TableConstraints {
  private TableConstraints() {}

  static void add(
      LocalCatalog catalog,
      TableCatalog delta,
      Identifier physical,
      Identifier ident,
      Constraint[] constraints) {
    for (Constraint constraint : constraints) {
      if (constraint instanceof Check check) {
        try {
          delta.alterTable(physical, new AddConstraint(check.name(), check.predicateSql()));
        } catch (NoSuchTableException e) {
          throw Exceptions.unchecked(e);
        }
      } else {
        catalog.registry().keys().add(key(catalog, ident, constraint));
      }
    }
  }

  private static Key key(LocalCatalog catalog, Identifier ident, Constraint constraint) {
    if (constraint instanceof PrimaryKey primary) {
      return new Key(
          catalog.address(ident), primary.name(), columns(primary.columns()), null);
    }
    if (constraint instanceof ForeignKey foreign) {
      return new Key(
          catalog.address(ident),
          foreign.name(),
          columns(foreign.columns()),
          reference(catalog, ident, foreign));
    }
    throw new UnsupportedOperationException(
        "Only CHECK, PRIMARY KEY and FOREIGN KEY constraints are supported: "
            + constraint.toDDL());
  }

  /** Spark hands the parent over as written: one, two or three names. */
  private static Reference reference(
      LocalCatalog catalog, Identifier ident, ForeignKey foreign) {
    Identifier parent = foreign.referencedTable();
    String[] namespace = parent.namespace();
    String schema =
        namespace.length == 0
            ? ident.namespace()[ident.namespace().length - 1]
            : namespace[namespace.length - 1];
    return new Reference(
        lower(namespace.length > 1 ? namespace[0] : catalog.name()),
        lower(schema),
        lower(parent.name()),
        columns(foreign.referencedColumns()));
  }

  private static String lower(String name) {
    return name.toLowerCase(Locale.ROOT);
  }

  private static List<String> columns(NamedReference[] references) {
    return Arrays.stream(references).map(r -> String.join(".", r.fieldNames())).toList();
  }
}
