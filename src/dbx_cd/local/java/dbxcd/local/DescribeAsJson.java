package dbxcd.local;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Key;
import dbxcd.local.Contents.Reference;
import dbxcd.local.rights.Securable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.connector.catalog.CatalogV2Util;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Relation;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.catalog.View;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.CharType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.types.VarcharType;

/**
 * DESCRIBE TABLE EXTENDED ... AS JSON, which open-source Spark has for session catalogs only. The
 * form is that of the Databricks SQL reference, "DESCRIBE TABLE: JSON formatted output".
 */
final class DescribeAsJson {
  private static final ObjectMapper JSON = new ObjectMapper();

  private DescribeAsJson() {}

  static String temporaryView(SparkSession session, String name) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("table_name", name.toLowerCase(Locale.ROOT));
    StructType schema = session.table(name).schema();
    json.put("columns", columns(CatalogV2Util.structTypeToV2Columns(schema, false)));
    json.put("type", "VIEW");
    return write(json);
  }

  /** {@code name} must be qualified. */
  static String relation(SparkSession session, List<String> name) {
    Relation relation = Statements.load(session, name);
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("table_name", name.get(2));
    json.put("catalog_name", name.get(0));
    json.put("namespace", List.of(name.get(1)));
    json.put("schema_name", name.get(1));
    json.put("columns", columns(DeclaredTypes.of(relation.columns())));
    json.put("owner", SeenObjects.of(session).owner(Securable.table(name.get(0), name.get(1), name.get(2))));
    putIfPresent(json, "comment", relation.properties().get(TableCatalog.PROP_COMMENT));
    Address address = Statements.address(name);
    if (relation instanceof View view) {
      json.put("type", "VIEW");
      json.put("view_text", view.queryText());
      json.put("view_original_text", view.queryText());
    } else {
      describeTable(json, session, address, relation);
    }
    return write(json);
  }

  private static void describeTable(
      Map<String, Object> json, SparkSession session, Address address, Relation relation) {
    Registry registry = Registry.of(session);
    registry
        .table(address)
        .ifPresent(
            table -> {
              json.put("type", registry.clones().typeOf(table));
              json.put("provider", table.provider());
              json.put("location", table.location());
            });
    json.put("table_properties", userProperties(relation.properties()));
    List<String> partitions =
        Arrays.stream(((Table) relation).partitioning())
            .filter(transform -> transform.name().equals("identity"))
            .flatMap(transform -> Arrays.stream(transform.references()))
            .map(reference -> String.join(".", reference.fieldNames()))
            .toList();
    if (!partitions.isEmpty()) {
      json.put("partition_columns", partitions);
    }
    List<Key> keys = registry.keys().of(address);
    if (!keys.isEmpty()) {
      json.put("table_constraints", constraints(keys));
    }
  }

  /** Spark mixes its reserved properties (provider, location, ...) with those of the user. */
  private static Map<String, String> userProperties(Map<String, String> properties) {
    Map<String, String> kept = new LinkedHashMap<>(properties);
    CatalogV2Util.TABLE_RESERVED_PROPERTIES().foreach(kept::remove);
    return kept;
  }

  private static void putIfPresent(Map<String, Object> json, String name, Object value) {
    if (value != null) {
      json.put(name, value);
    }
  }

  /** As Databricks writes it: {@code [(name,PRIMARY KEY (`id`)), (name,FOREIGN KEY ...)]}. */
  private static String constraints(List<Key> keys) {
    return keys.stream()
        .map(key -> "(" + key.name() + "," + body(key) + ")")
        .collect(Collectors.joining(", ", "[", "]"));
  }

  static String body(Key key) {
    if (key.isPrimary()) {
      return "PRIMARY KEY (" + quoted(key.columns(), ", ") + ")";
    }
    Reference to = key.references();
    return "FOREIGN KEY ("
        + quoted(key.columns(), ", ")
        + ") REFERENCES "
        + quoted(List.of(to.catalog(), to.schema(), to.table()), ".")
        + " ("
        + quoted(to.columns(), ", ")
        + ")";
  }

  private static String quoted(List<String> names, String separator) {
    return names.stream()
        .map(name -> "`" + name.replace("`", "``") + "`")
        .collect(Collectors.joining(separator));
  }

  private static List<Map<String, Object>> columns(Column[] columns) {
    List<Map<String, Object>> list = new ArrayList<>();
    for (Column column : columns) {
      Map<String, Object> json = new LinkedHashMap<>();
      json.put("name", column.name());
      json.put("type", type(column.dataType()));
      putIfPresent(json, "comment", column.comment());
      json.put("nullable", column.nullable());
      if (column.defaultValue() != null) {
        json.put("default", column.defaultValue().getSql());
      }
      list.add(json);
    }
    return list;
  }

  private static Map<String, Object> type(DataType type) {
    Map<String, Object> json = new LinkedHashMap<>();
    if (type instanceof StructType struct) {
      json.put("name", "struct");
      json.put("fields", columns(CatalogV2Util.structTypeToV2Columns(struct, false)));
    } else if (type instanceof ArrayType array) {
      json.put("name", "array");
      json.put("element_type", type(array.elementType()));
      json.put("element_nullable", array.containsNull());
    } else if (type instanceof MapType map) {
      json.put("name", "map");
      json.put("key_type", type(map.keyType()));
      json.put("value_type", type(map.valueType()));
      json.put("value_nullable", map.valueContainsNull());
    } else if (type instanceof DecimalType decimal) {
      json.put("name", "decimal");
      json.put("precision", decimal.precision());
      json.put("scale", decimal.scale());
    } else if (type instanceof VarcharType varchar) {
      json.put("name", "varchar");
      json.put("length", varchar.length());
    } else if (type instanceof CharType character) {
      json.put("name", "char");
      json.put("length", character.length());
    } else if (type.equals(DataTypes.TimestampType)) {
      json.put("name", "timestamp_ltz");
    } else {
      json.put("name", type.sql().toLowerCase(Locale.ROOT));
    }
    return json;
  }

  private static String write(Map<String, Object> json) {
    try {
      return JSON.writeValueAsString(json);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
