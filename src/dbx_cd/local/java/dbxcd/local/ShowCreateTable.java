package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Key;
import dbxcd.local.Contents.StoredTable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.util.CharVarcharUtils;
import org.apache.spark.sql.connector.catalog.CatalogV2Util;
import org.apache.spark.sql.connector.catalog.Relation;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.delta.catalog.DeltaTableV2;
import org.apache.spark.sql.delta.skipping.clustering.ClusteringColumnInfo;
import org.apache.spark.sql.types.Metadata;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import scala.jdk.javaapi.CollectionConverters;

/** SHOW CREATE TABLE of a table, which open-source Delta refuses: a statement that makes one like it. */
public final class ShowCreateTable {
  private static final String CHECK = "delta.constraints.";

  /** Delta sets these itself, and refuses some of them in CREATE TABLE. */
  private static final List<String> NOT_SET_BY_USERS =
      List.of(
          "delta.minReaderVersion",
          "delta.minWriterVersion",
          "delta.columnMapping.maxColumnId",
          "delta.feature.clustering");

  private final SparkSession session;
  private final List<String> name;
  private final Relation table;

  private ShowCreateTable(SparkSession session, List<String> name, Relation table) {
    this.session = session;
    this.name = name;
    this.table = table;
  }

  /** The statement, for a name of one to three parts. */
  public static String of(SparkSession session, List<String> name) {
    SparkSession.setActiveSession(session);
    List<String> qualified = Statements.qualify(session, name);
    return new ShowCreateTable(session, qualified, Statements.load(session, name)).statement();
  }

  private String statement() {
    List<String> inside = new ArrayList<>();
    for (StructField field : schema().fields()) {
      inside.add(column(field));
    }
    Address address = Statements.address(name);
    Registry registry = Registry.of(session);
    for (Key key : registry.keys().of(address)) {
      inside.add("CONSTRAINT " + quoted(key.name()) + " " + DescribeAsJson.body(key));
    }
    properties(key -> key.startsWith(CHECK))
        .forEach(
            (key, check) ->
                inside.add("CONSTRAINT " + quoted(key.substring(CHECK.length())) + " CHECK (" + check + ")"));
    StringBuilder text =
        new StringBuilder("CREATE TABLE ")
            .append(name.stream().map(ShowCreateTable::quoted).collect(Collectors.joining(".")))
            .append(" (\n  ")
            .append(String.join(",\n  ", inside))
            .append(")\n");
    StoredTable stored = registry.table(address).orElseThrow();
    text.append("USING ").append(stored.provider()).append("\n");
    String partitions =
        Arrays.stream(((Table) table).partitioning())
            .filter(part -> part.name().equals("identity"))
            .flatMap(part -> Arrays.stream(part.references()))
            .map(part -> quoted(String.join(".", part.fieldNames())))
            .collect(Collectors.joining(", "));
    if (!partitions.isEmpty()) {
      text.append("PARTITIONED BY (").append(partitions).append(")\n");
    }
    String clustering = clustering();
    if (!clustering.isEmpty()) {
      text.append("CLUSTER BY (").append(clustering).append(")\n");
    }
    if (!stored.type().equals("MANAGED")) {
      text.append("LOCATION ").append(literal(stored.location())).append("\n");
    }
    String comment = table.properties().get(TableCatalog.PROP_COMMENT);
    if (comment != null) {
      text.append("COMMENT ").append(literal(comment)).append("\n");
    }
    Map<String, String> own = properties(key -> !key.startsWith(CHECK) && !NOT_SET_BY_USERS.contains(key));
    if (!own.isEmpty()) {
      text.append("TBLPROPERTIES (\n  ")
          .append(
              own.entrySet().stream()
                  .map(property -> literal(property.getKey()) + " = " + literal(property.getValue()))
                  .collect(Collectors.joining(",\n  ")))
          .append(")\n");
    }
    return text.toString();
  }

  /** Delta hides how columns are generated from Spark. */
  private StructType schema() {
    return table instanceof DeltaTableV2 delta
        ? delta.initialSnapshot().schema()
        : CatalogV2Util.v2ColumnsToStructType(table.columns());
  }

  private String column(StructField field) {
    Metadata metadata = field.metadata();
    String type = CharVarcharUtils.getRawType(metadata).getOrElse(field::dataType).sql();
    StringBuilder text = new StringBuilder(quoted(field.name())).append(" ").append(type);
    if (!field.nullable()) {
      text.append(" NOT NULL");
    }
    if (metadata.contains("delta.generationExpression")) {
      text.append(" GENERATED ALWAYS AS (").append(metadata.getString("delta.generationExpression")).append(")");
    } else if (metadata.contains("delta.identity.start")) {
      text.append(" GENERATED ")
          .append(metadata.getBoolean("delta.identity.allowExplicitInsert") ? "BY DEFAULT" : "ALWAYS")
          .append(" AS IDENTITY (START WITH ")
          .append(metadata.getLong("delta.identity.start"))
          .append(" INCREMENT BY ")
          .append(metadata.getLong("delta.identity.step"))
          .append(")");
    } else if (metadata.contains("CURRENT_DEFAULT")) {
      text.append(" DEFAULT ").append(metadata.getString("CURRENT_DEFAULT"));
    }
    if (field.getComment().isDefined()) {
      text.append(" COMMENT ").append(literal(field.getComment().get()));
    }
    return text.toString();
  }

  private String clustering() {
    return table instanceof DeltaTableV2 delta
        ? CollectionConverters.asJava(ClusteringColumnInfo.extractLogicalNames(delta.initialSnapshot())).stream()
            .map(name -> name.contains("`") || name.contains(".") ? name : quoted(name)) // of a field: quoted by Delta
            .collect(Collectors.joining(", "))
        : "";
  }

  private Map<String, String> properties(Predicate<String> which) {
    Map<String, String> chosen = new TreeMap<>(table.properties());
    CatalogV2Util.TABLE_RESERVED_PROPERTIES().foreach(chosen::remove);
    chosen.keySet().removeIf(which.negate());
    return chosen;
  }

  private static String quoted(String name) {
    return "`" + name.replace("`", "``") + "`";
  }

  private static String literal(String text) {
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'";
  }
}
