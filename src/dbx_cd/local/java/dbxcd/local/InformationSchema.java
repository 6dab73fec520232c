package dbxcd.local;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.analysis.NoSuchTableException;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.connector.catalog.CatalogV2Util;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.SupportsRead;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCapability;
import org.apache.spark.sql.connector.read.LocalScan;
import org.apache.spark.sql.connector.read.Scan;
import org.apache.spark.sql.connector.read.ScanBuilder;
import org.apache.spark.sql.connector.read.SupportsPushDownFilters;
import org.apache.spark.sql.sources.Filter;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;
import org.apache.spark.unsafe.types.UTF8String;

/** The relations of information_schema, of one catalog or, in the catalog system, of all. */
final class InformationSchema {
  static final String NAME = "information_schema";

  private static final String IN_TABLE =
      "table_catalog string, table_schema string, table_name string, ";
  private static final String TAGGED =
      "catalog_name string, schema_name string, table_name string, ";
  private static final String CONSTRAINT =
      "constraint_catalog string, constraint_schema string, constraint_name string, ";

  private static final Map<String, StructType> RELATIONS = new LinkedHashMap<>();

  static {
    relation("catalogs", "catalog_name string, catalog_owner string, comment string");
    relation(
        "schemata",
        "catalog_name string, schema_name string, schema_owner string, comment string");
    relation(
        "tables",
        IN_TABLE
            + "table_type string, is_insertable_into string, table_owner string, comment string, "
            + "created timestamp, created_by string, last_altered timestamp, "
            + "last_altered_by string, data_source_format string, storage_path string");
    relation(
        "views",
        IN_TABLE
            + "view_definition string, check_option string, is_updatable string, "
            + "is_insertable_into string, sql_path string");
    relation(
        "columns",
        IN_TABLE
            + "column_name string, ordinal_position int, column_default string, "
            + "is_nullable string, full_data_type string, data_type string, comment string");
    relation("table_tags", TAGGED + "tag_name string, tag_value string");
    relation("column_tags", TAGGED + "column_name string, tag_name string, tag_value string");
    relation(
        "table_constraints", CONSTRAINT + IN_TABLE + "constraint_type string, enforced string");
    relation(
        "key_column_usage", CONSTRAINT + IN_TABLE + "column_name string, ordinal_position int");
    relation(
        "referential_constraints",
        CONSTRAINT
            + "unique_constraint_catalog string, unique_constraint_schema string, "
            + "unique_constraint_name string");
    relation(
        "volumes",
        "volume_catalog string, volume_schema string, volume_name string, volume_type string, "
            + "volume_owner string, comment string, storage_location string, created timestamp, "
            + "created_by string, last_altered timestamp, last_altered_by string");
    // Column masks and row filters do not exist here: dbt-databricks asks, the answer is no rows.
    relation(
        "column_masks",
        IN_TABLE + "column_name string, mask_name string, using_columns string");
    relation("row_filters", IN_TABLE + "filter_name string, target_columns string");
    RoutineRows.RELATIONS.forEach(InformationSchema::relation);
    PrivilegeRows.RELATIONS.forEach(InformationSchema::relation);
  }

  private InformationSchema() {}

  private static void relation(String name, String columns) {
    RELATIONS.put(name, StructType.fromDDL(columns));
  }

  static Identifier[] tables(String[] namespace) {
    return RELATIONS.keySet().stream()
        .map(relation -> Identifier.of(namespace, relation))
        .toArray(Identifier[]::new);
  }

  static Table table(String catalog, List<String> catalogs, Identifier ident)
      throws NoSuchTableException {
    String relation = ident.name().toLowerCase(Locale.ROOT);
    if (!RELATIONS.containsKey(relation)) {
      throw new NoSuchTableException(ident);
    }
    return new InformationTable(catalog, catalogs, relation);
  }

  private record InformationTable(String catalog, List<String> catalogs, String relation)
      implements SupportsRead {
    @Override
    public String name() {
      return catalog + "." + NAME + "." + relation;
    }

    @Override
    public Column[] columns() {
      return CatalogV2Util.structTypeToV2Columns(RELATIONS.get(relation), false);
    }

    @Override
    public java.util.Set<TableCapability> capabilities() {
      return java.util.EnumSet.of(TableCapability.BATCH_READ);
    }

    @Override
    public ScanBuilder newScanBuilder(CaseInsensitiveStringMap options) {
      return new InformationScan(this);
    }
  }

  private static final class InformationScan implements ScanBuilder, SupportsPushDownFilters {
    private final InformationTable table;
    private Filter[] filters = {};

    InformationScan(InformationTable table) {
      this.table = table;
    }

    /** All filters are returned: Spark applies them again, they only narrow what is opened. */
    @Override
    public Filter[] pushFilters(Filter[] pushed) {
      filters = pushed;
      return pushed;
    }

    @Override
    public Filter[] pushedFilters() {
      return new Filter[0];
    }

    @Override
    public Scan build() {
      RelationFilter filter = new RelationFilter(filters);
      return new LocalScan() {
        @Override
        public InternalRow[] rows() {
          return new InformationRows(table.catalogs(), filter)
              .of(table.relation()).stream()
                  .map(InformationSchema::internalRow)
                  .toArray(InternalRow[]::new);
        }

        @Override
        public StructType readSchema() {
          return RELATIONS.get(table.relation());
        }
      };
    }
  }

  private static InternalRow internalRow(Object[] values) {
    return new GenericInternalRow(
        Arrays.stream(values)
            .map(value -> value instanceof String s ? UTF8String.fromString(s) : value)
            .toArray());
  }
}
