package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Key;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.stream.Collectors;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.analysis.NoSuchTableException;
import org.apache.spark.sql.catalyst.util.SparkParserUtils$;
import org.apache.spark.sql.connector.catalog.CatalogPlugin;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.Relation;
import org.apache.spark.sql.connector.catalog.RelationCatalog;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.catalog.View;
import org.apache.spark.sql.delta.catalog.DeltaTableV2;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/**
 * What the emulation of Databricks SQL statements calls from Python. A relation is named by one to
 * three parts; the current catalog and schema of the session fill in the others.
 */
public final class Statements {
  private Statements() {}

  /** Restores the catalogs from the registry file, if this application has not done so yet. */
  public static void open(SparkSession session) {
    Registry.of(session);
  }

  /** A name with all three parts, in lower case. */
  public static List<String> qualify(SparkSession session, List<String> name) {
    var manager = session.sessionState().catalogManager();
    List<String> parts = new ArrayList<>();
    if (name.size() < 3) {
      parts.add(manager.currentCatalog().name());
    }
    if (name.size() < 2) {
      parts.add(String.join(".", manager.currentNamespace()));
    }
    parts.addAll(name);
    parts.replaceAll(part -> part.toLowerCase(Locale.ROOT));
    return parts;
  }

  public static boolean isTemporaryView(SparkSession session, List<String> name) {
    return name.size() == 1
        && session.sessionState().catalog().getTempView(name.get(0)).isDefined();
  }

  public static boolean isView(SparkSession session, List<String> name) {
    return Registry.of(session).storedView(address(qualify(session, name))).isPresent();
  }

  public static boolean isTable(SparkSession session, List<String> name) {
    return Registry.of(session).table(address(qualify(session, name))).isPresent();
  }

  /** Catalog, schema, name and the session catalog's schema of a function that is stored; null of others. */
  public static List<String> storedFunction(SparkSession session, List<String> name) {
    return FunctionName.of(session, name, List.of())
        .filter(function -> !FunctionNames.isSparks(session, name) && function.exists(session))
        .map(f -> List.of(f.catalog(), f.schema(), f.name(), f.database()))
        .orElse(null);
  }

  /** DESCRIBE TABLE EXTENDED ... AS JSON. */
  public static String describeAsJson(SparkSession session, List<String> name) {
    SparkSession.setActiveSession(session);
    return isTemporaryView(session, name)
        ? DescribeAsJson.temporaryView(session, name.get(0))
        : DescribeAsJson.relation(session, qualify(session, name));
  }

  /** Sets tags of a relation, or of one of its columns when {@code column} is not null. */
  public static void setTags(
      SparkSession session, List<String> name, String column, Map<String, String> tags) {
    Relation relation = load(session, name);
    Registry.of(session)
        .tags()
        .set(
            address(qualify(session, name)), declaredColumn(name, relation, column), tags);
  }

  public static void unsetTags(
      SparkSession session, List<String> name, String column, List<String> tags) {
    Relation relation = load(session, name);
    Registry.of(session)
        .tags()
        .unset(
            address(qualify(session, name)), declaredColumn(name, relation, column), tags);
  }

  /**
   * Drops a primary or foreign key by its name; false when it is not one of them. A primary key
   * that foreign keys refer to is dropped with them by CASCADE only.
   */
  public static boolean dropConstraint(
      SparkSession session, List<String> name, String constraint, boolean cascade) {
    Address address = address(qualify(session, name));
    Keys keys = Registry.of(session).keys();
    boolean isKey = keys.of(address).stream().anyMatch(key -> key.name().equalsIgnoreCase(constraint));
    String check = "delta.constraints." + constraint.toLowerCase(Locale.ROOT);
    if (isKey && load(session, name).properties().containsKey(check)) {
      throw ErrorConditions.error(
          "CANNOT_DROP_AMBIGUOUS_CONSTRAINT", "constraintName", KeyRules.quoted(constraint));
    }
    return keys.drop(address, key -> key.name().equalsIgnoreCase(constraint), cascade);
  }

  /** Drops the primary key; false when there is none. */
  public static boolean dropPrimaryKey(SparkSession session, List<String> name, boolean cascade) {
    load(session, name);
    return Registry.of(session)
        .keys()
        .drop(address(qualify(session, name)), Key::isPrimary, cascade);
  }

  /** Drops the foreign key over these columns, in this order; false when there is none. */
  public static boolean dropForeignKey(
      SparkSession session, List<String> name, List<String> columns) {
    load(session, name);
    List<String> wanted = lower(columns);
    return Registry.of(session)
        .keys()
        .drop(
            address(qualify(session, name)),
            key -> !key.isPrimary() && lower(key.columns()).equals(wanted),
            false);
  }

  /**
   * CREATE TABLE, CREATE OR REPLACE TABLE and REPLACE TABLE ... SHALLOW CLONE; returns what Delta
   * reports.
   *
   * @param verb {@code create}, {@code replace} or {@code create or replace}.
   * @param options what follows the source's name, but LOCATION.
   * @param location of an external table, else null.
   */
  public static Dataset<Row> shallowClone(
      SparkSession session,
      String verb,
      List<String> name,
      List<String> source,
      String options,
      String location) {
    SparkSession.setActiveSession(session);
    List<String> target = qualify(session, name);
    Address address = address(target);
    Registry registry = Registry.of(session);
    String shown = target.stream().map(KeyRules::quoted).collect(Collectors.joining("."));
    if (registry.namespace(address.database()).isEmpty()) {
      throw ErrorConditions.error(
          "SCHEMA_NOT_FOUND",
          "schemaName", KeyRules.quoted(target.get(0)) + "." + KeyRules.quoted(target.get(1)));
    }
    boolean exists = registry.table(address).isPresent();
    if (registry.storedView(address).isPresent() || (exists && verb.equals("create"))) {
      throw ErrorConditions.error("TABLE_OR_VIEW_ALREADY_EXISTS", "relationName", shown);
    }
    if (!exists && verb.equals("replace")) {
      throw ErrorConditions.error(
          "TABLE_OR_VIEW_NOT_FOUND", "relationName", shown, "searchPath", "[]");
    }
    ShallowClones clones = registry.clones();
    clones.refuseOtherType(address, true);
    if (clones.contains(address(qualify(session, source)))) {
      throw ErrorConditions.error(
          "CANNOT_SHALLOW_CLONE_NESTED", "table", KeyRules.quoted(String.join(".", source)));
    }
    String cloned = ShallowClones.named(session, source) + options;
    return exists
        ? clones.replace(session, address, cloned, false)
        : clones.create(session, address, cloned, location);
  }

  /** ALTER TABLE ... ALTER COLUMN ... SET NOT NULL. */
  public static void setNotNull(SparkSession session, List<String> name, String column) {
    Relation relation = load(session, name);
    if (!(relation instanceof DeltaTableV2 table)) {
      throw ErrorConditions.error(
          "UNSUPPORTED_FEATURE.TABLE_OPERATION",
          "tableName", String.join(".", name),
          "operation", "SET NOT NULL");
    }
    NotNull.set(session, qualify(session, name), table, declaredColumn(name, relation, column));
  }

  /** Sets the comment of a view's column. */
  public static void commentOnViewColumn(
      SparkSession session, List<String> name, String column, String comment) {
    Registry registry = Registry.of(session);
    Address address = address(qualify(session, name));
    View view = registry.views().view(address).orElseThrow();
    String declared = declaredColumn(name, view, column);
    StructField[] fields = view.schema().fields();
    for (int i = 0; i < fields.length; i++) {
      if (fields[i].name().equals(declared)) {
        fields[i] = fields[i].withComment(comment);
      }
    }
    replaceView(registry, address, view, new StructType(fields), view.properties());
  }

  /** Sets the comment of a view. */
  public static void commentOnView(SparkSession session, List<String> name, String comment) {
    Registry registry = Registry.of(session);
    Address address = address(qualify(session, name));
    View view = registry.views().view(address).orElseThrow();
    Map<String, String> properties = new HashMap<>(view.properties());
    properties.put(TableCatalog.PROP_COMMENT, comment);
    replaceView(registry, address, view, view.schema(), properties);
  }

  private static void replaceView(
      Registry registry,
      Address address,
      View view,
      StructType schema,
      Map<String, String> properties) {
    View.Builder builder = new View.Builder();
    builder.withSchema(schema);
    builder.withProperties(properties);
    registry.views().replace(
        address,
        builder
            .withQueryText(view.queryText())
            .withCurrentCatalog(view.currentCatalog())
            .withCurrentNamespace(view.currentNamespace())
            .withSqlConfigs(view.sqlConfigs())
            .withSchemaMode(view.schemaMode())
            .withQueryColumnNames(view.queryColumnNames())
            .build());
  }

  /** What a SQL string literal stands for, by the rules of Spark's own parser. */
  public static String unquote(String literal) {
    return SparkParserUtils$.MODULE$.unescapeSQLString(literal, false);
  }

  /** {@code name} must be qualified. */
  static Address address(List<String> name) {
    return new Address(PhysicalNames.database(name.get(0), name.get(1)), name.get(2));
  }

  static Relation load(SparkSession session, List<String> name) {
    SparkSession.setActiveSession(session);
    List<String> qualified = qualify(session, name);
    UnknownCatalog.require(session, qualified.get(0));
    CatalogPlugin plugin = session.sessionState().catalogManager().catalog(qualified.get(0));
    Identifier ident = Identifier.of(new String[] {qualified.get(1)}, qualified.get(2));
    try {
      return plugin instanceof RelationCatalog catalog
          ? catalog.loadRelation(ident)
          : ((TableCatalog) plugin).loadTable(ident);
    } catch (NoSuchTableException e) {
      throw new NoSuchElementException(
          "[TABLE_OR_VIEW_NOT_FOUND] There is no table or view " + String.join(".", name));
    }
  }

  private static String declaredColumn(List<String> name, Relation relation, String column) {
    if (column == null) {
      return null;
    }
    return Arrays.stream(relation.columns())
        .map(Column::name)
        .filter(column::equalsIgnoreCase)
        .findFirst()
        .orElseThrow(
            () ->
                new NoSuchElementException(
                    "[UNRESOLVED_COLUMN] " + String.join(".", name) + " has no column " + column));
  }

  private static List<String> lower(List<String> names) {
    return names.stream().map(name -> name.toLowerCase(Locale.ROOT)).toList();
  }
}
