package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Key;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.Contents.Reference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.analysis.NoSuchTableException;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.catalog.constraints.Check;
import org.apache.spark.sql.connector.catalog.constraints.Constraint;
import org.apache.spark.sql.connector.catalog.constraints.ForeignKey;
import org.apache.spark.sql.connector.catalog.constraints.PrimaryKey;
import org.apache.spark.sql.connector.expressions.NamedReference;
import org.apache.spark.sql.types.DataType;

/**
 * Which keys Unity Catalog accepts ("CONSTRAINT clause" and "ADD CONSTRAINT clause" of its SQL
 * reference): one primary key for a table, over columns that are there and not null; names that are
 * unique in the schema; foreign keys over the parent's primary key, column by column of its type.
 */
final class KeyRules {
  private final Registry registry;
  private final Namespace namespace;
  private final Address address;
  private final Column[] columns;
  private final List<Key> others;
  private final List<Key> accepted = new ArrayList<>();

  /**
   * @param columns of the table as it is, or will be.
   * @param replaced the keys that the table has now will be gone.
   */
  KeyRules(Registry registry, Address address, Column[] columns, boolean replaced) {
    this.registry = registry;
    this.namespace = registry.namespace(address.database()).orElseThrow();
    this.address = address;
    this.columns = columns;
    this.others =
        registry.keys().all().stream()
            .filter(key -> !(replaced && key.address().equals(address)))
            .toList();
  }

  /** The keys among the constraints, in the form in which they are kept; primary keys come first. */
  List<Key> accept(Constraint[] constraints) {
    for (Constraint constraint : constraints) {
      if (constraint instanceof PrimaryKey primary) {
        accepted.add(primary(primary));
      }
    }
    for (Constraint constraint : constraints) {
      if (constraint instanceof ForeignKey foreign) {
        accepted.add(foreign(foreign));
      } else if (!(constraint instanceof PrimaryKey || constraint instanceof Check)) {
        throw new UnsupportedOperationException(
            "Only CHECK, PRIMARY KEY and FOREIGN KEY constraints are supported: "
                + constraint.toDDL());
      }
    }
    return accepted;
  }

  private Key primary(PrimaryKey primary) {
    List<String> over = declared(names(primary.columns()), columns);
    keysOf(address).filter(Key::isPrimary).findFirst()
        .ifPresent(
            first -> {
              throw ErrorConditions.error(
                  "MULTIPLE_PRIMARY_KEYS", "columns", quoted(first.columns()) + ", " + quoted(over));
            });
    List<String> nullable = over.stream().filter(name -> column(name, columns).nullable()).toList();
    if (!nullable.isEmpty()) {
      throw ErrorConditions.error(
          "INVALID_STATE.NULLABLE_KEY",
          "name", quoted(primary.name()),
          "columns", nullable.stream().map(KeyRules::quoted).collect(Collectors.joining(", ")));
    }
    return new Key(address, unique(primary.name(), Pattern.quote(address.name() + "_pk")), over, null);
  }

  private Key foreign(ForeignKey foreign) {
    List<String> over = declared(names(foreign.columns()), columns);
    Reference parent = parent(foreign.referencedTable());
    boolean itself = parent.address().equals(address);
    Column[] parentColumns = itself ? columns : parentColumns(parent);
    String parentName = quoted(parent.catalog()) + "." + quoted(parent.schema()) + "." + quoted(parent.table());
    List<String> key =
        keysOf(parent.address()).filter(Key::isPrimary).findFirst().map(Key::columns).orElse(List.of());
    List<String> written = names(foreign.referencedColumns());
    List<String> to = written.equals(ReferencedKeys.NONE) ? key : declared(written, parentColumns);
    if (key.isEmpty()) {
      throw mismatch(quoted(to), "because " + parentName + " has no primary key");
    }
    if (!lower(to).equals(lower(key))) {
      throw mismatch(quoted(to), quoted(key));
    }
    if (!types(over, columns).equals(types(to, parentColumns))) {
      throw mismatch(
          quoted(to) + " of types " + types(to, parentColumns), quoted(over) + " of types " + types(over, columns));
    }
    return new Key(
        address,
        unique(foreign.name(), Pattern.quote(address.name() + "_" + parent.table() + "_fk") + "(_\\w+)?"),
        over,
        new Reference(parent.catalog(), parent.schema(), parent.table(), to));
  }

  private static RuntimeException mismatch(String parentColumns, String childColumns) {
    return (ErrorConditions.error(
            "FOREIGN_KEY_MISMATCH", "parentColumns", parentColumns, "childColumns", childColumns));
  }

  /** Spark hands the parent over as written: one, two or three names. */
  private Reference parent(Identifier written) {
    String[] names = written.namespace();
    return new Reference(
        (names.length > 1 ? names[0] : namespace.catalog()).toLowerCase(Locale.ROOT),
        (names.length == 0 ? namespace.schema() : names[names.length - 1]).toLowerCase(Locale.ROOT),
        written.name().toLowerCase(Locale.ROOT),
        List.of());
  }

  private static Column[] parentColumns(Reference parent) {
    try {
      TableCatalog catalog =
          (TableCatalog)
              SparkSession.active().sessionState().catalogManager().catalog(parent.catalog());
      return catalog
          .loadTable(Identifier.of(new String[] {parent.schema()}, parent.table()))
          .columns();
    } catch (NoSuchTableException e) {
      throw (ErrorConditions.error(
              "TABLE_OR_VIEW_NOT_FOUND",
              "relationName",
              quoted(parent.catalog()) + "." + quoted(parent.schema()) + "." + quoted(parent.table()),
              "searchPath",
              "[]"));
    }
  }

  private Stream<Key> keysOf(Address table) {
    return Stream.concat(others.stream(), accepted.stream())
        .filter(key -> key.address().equals(table));
  }

  /** A name that nobody gave and that is taken (the table was renamed, say) gets a number. */
  private String unique(String name, String generated) {
    String candidate = name;
    for (int number = 1; nameTaken(candidate); number++) {
      if (!name.toLowerCase(Locale.ROOT).matches(generated)) {
        throw (ErrorConditions.error(
                "CONSTRAINT_ALREADY_EXISTS",
                "constraintName", name,
                "oldConstraint", "of this name in the schema " + quoted(namespace.schema())));
      }
      candidate = name + "_" + number;
    }
    return candidate;
  }

  private boolean nameTaken(String name) {
    return Stream.concat(others.stream(), accepted.stream())
        .anyMatch(
            key ->
                key.address().database().equals(address.database())
                    && key.name().equalsIgnoreCase(name));
  }

  private List<String> declared(List<String> names, Column[] among) {
    List<String> found = new ArrayList<>();
    for (String name : names) {
      String declared = column(name, among).name();
      if (found.contains(declared)) {
        throw (ErrorConditions.error("COLUMN_ALREADY_EXISTS", "columnName", quoted(declared)));
      }
      found.add(declared);
    }
    return found;
  }

  private static Column column(String name, Column[] among) {
    return Arrays.stream(among)
        .filter(column -> column.name().equalsIgnoreCase(name))
        .findFirst()
        .orElseThrow(
            () ->
                ErrorConditions.error(
                    "UNRESOLVED_COLUMN.WITH_SUGGESTION",
                    "objectName", quoted(name),
                    "proposal",
                        Arrays.stream(among).map(c -> quoted(c.name())).collect(Collectors.joining(", "))));
  }

  private static List<String> types(List<String> names, Column[] among) {
    Map<String, DataType> types = new HashMap<>();
    Arrays.stream(among).forEach(column -> types.put(column.name(), column.dataType()));
    return names.stream().map(name -> types.get(name).sql()).toList();
  }

  private static List<String> names(NamedReference[] references) {
    return Arrays.stream(references).map(r -> String.join(".", r.fieldNames())).toList();
  }

  private static List<String> lower(List<String> names) {
    return names.stream().map(name -> name.toLowerCase(Locale.ROOT)).toList();
  }

  static String quoted(String name) {
    return "`" + name.replace("`", "``") + "`";
  }

  private static String quoted(List<String> names) {
    return names.stream().map(KeyRules::quoted).collect(Collectors.joining(", ", "(", ")"));
  }
}
