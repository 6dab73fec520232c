package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Key;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NoSuchElementException;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.connector.catalog.View;
import org.apache.spark.sql.types.Metadata;
import org.apache.spark.sql.types.MetadataBuilder;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/**
 * What the emulation of Databricks SQL statements calls from Python. Relations are named by three
 * parts; the session is the one the statement runs in.
 */
public final class Statements {
  /** Delta keeps CHECK constraints as table properties; this prefix is for emulated NOT NULL. */
  static final String NOT_NULL_CHECK_PROPERTY = "delta.constraints.__nn_";

  private Statements() {}

  /** Restores the catalogs from the registry file, if this application has not done so yet. */
  public static void open(SparkSession session) {
    Registry.of(session);
  }

  public static void setTags(
      SparkSession session, List<String> name, String column, Map<String, String> tags) {
    Registry.of(session).setTags(existing(session, name), lower(column), tags);
  }

  public static void unsetTags(
      SparkSession session, List<String> name, String column, List<String> tags) {
    Registry.of(session).unsetTags(existing(session, name), lower(column), tags);
  }

  /** Drops a primary or foreign key by its name; false when it is not one of them. */
  public static boolean dropConstraint(
      SparkSession session, List<String> name, String constraint) {
    return Registry.of(session)
        .dropKeys(address(name), key -> key.name().equalsIgnoreCase(constraint));
  }

  /** Drops the primary key; false when there is none. */
  public static boolean dropPrimaryKey(SparkSession session, List<String> name) {
    return Registry.of(session).dropKeys(address(name), Key::isPrimary);
  }

  public static boolean isView(SparkSession session, List<String> name) {
    return Registry.of(session).storedView(address(name)).isPresent();
  }

  /** Sets the comment of a view's column; null removes it. */
  public static void commentOnViewColumn(
      SparkSession session, List<String> name, String column, String comment) {
    Registry registry = Registry.of(session);
    View view = registry.view(address(name)).orElseThrow();
    StructField[] fields = view.schema().fields();
    boolean found = false;
    for (int i = 0; i < fields.length; i++) {
      if (fields[i].name().equalsIgnoreCase(column)) {
        fields[i] = commented(fields[i], comment);
        found = true;
      }
    }
    if (!found) {
      throw new NoSuchElementException(
          "[UNRESOLVED_COLUMN] View " + String.join(".", name) + " has no column " + column);
    }
    View.Builder builder = new View.Builder();
    builder.withSchema(new StructType(fields));
    builder.withProperties(view.properties());
    registry.replaceView(
        address(name),
        builder
            .withQueryText(view.queryText())
            .withCurrentCatalog(view.currentCatalog())
            .withCurrentNamespace(view.currentNamespace())
            .withSqlConfigs(view.sqlConfigs())
            .withSchemaMode(view.schemaMode())
            .withQueryColumnNames(view.queryColumnNames())
            .build());
  }

  private static StructField commented(StructField field, String comment) {
    MetadataBuilder metadata = new MetadataBuilder().withMetadata(field.metadata());
    Metadata changed =
        (comment == null ? metadata.remove("comment") : metadata.putString("comment", comment))
            .build();
    return new StructField(field.name(), field.dataType(), field.nullable(), changed);
  }

  /** DESCRIBE TABLE EXTENDED ... AS JSON of a relation in a catalog. */
  public static String describeAsJson(SparkSession session, List<String> name) {
    return DescribeAsJson.relation(session, name);
  }

  /** The same of a temporary view, of which only the columns are known. */
  public static String describeTemporaryViewAsJson(SparkSession session, String name) {
    return DescribeAsJson.temporaryView(session, name);
  }

  static Address address(List<String> name) {
    String database = PhysicalNames.database(name.get(0), name.get(1));
    return new Address(database, name.get(2).toLowerCase(Locale.ROOT));
  }

  private static Address existing(SparkSession session, List<String> name) {
    Address address = address(name);
    Registry registry = Registry.of(session);
    if (registry.table(address).isEmpty() && registry.storedView(address).isEmpty()) {
      throw new NoSuchElementException(
          "[TABLE_OR_VIEW_NOT_FOUND] There is no table or view " + String.join(".", name));
    }
    return address;
  }

  private static String lower(String column) {
    return column == null ? null : column.toLowerCase(Locale.ROOT);
  }
}
