package dbxcd.local;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import java.util.Map;

/** What the registry file holds. One record per kind of object; all names are lower-case. */
record Contents(
    @JsonProperty("format") int format,
    @JsonProperty("namespaces") List<Namespace> namespaces,
    @JsonProperty("tables") List<StoredTable> tables,
    @JsonProperty("views") List<StoredView> views,
    @JsonProperty("tags") List<Tag> tags,
    @JsonProperty("keys") List<Key> keys,
    @JsonProperty("volumes") List<StoredVolume> volumes,
    @JsonProperty("rights") RightsState.Stored rights,
    @JsonProperty("unfinished") List<Unfinished> unfinished,
    @JsonProperty("clones") List<Address> clones,
    @JsonProperty("functions") List<StoredFunctions.StoredFunction> functions,
    @JsonProperty("catalogs") List<LocalCatalogs.StoredCatalog> catalogs,
    @JsonProperty("moves") List<Move> moves) {

  static final int FORMAT = 1;

  /** What an older file does not have is read as empty. */
  Contents {
    unfinished = unfinished == null ? List.of() : unfinished;
    clones = clones == null ? List.of() : clones;
    functions = functions == null ? List.of() : functions;
    catalogs = catalogs == null ? List.of() : catalogs;
    moves = moves == null ? List.of() : moves;
  }

  static Contents empty() {
    return new Contents(
        FORMAT,
        List.of(),
        List.of(),
        List.of(),
        List.of(),
        List.of(),
        List.of(),
        null,
        List.of(),
        List.of(),
        List.of(),
        List.of(),
        List.of());
  }

  /** The address of a relation: the physical database in Spark's session catalog, and the name. */
  record Address(@JsonProperty("database") String database, @JsonProperty("name") String name) {}

  /** A schema of a catalog; {@code database} is its name in Spark's session catalog. */
  record Namespace(
      @JsonProperty("catalog") String catalog,
      @JsonProperty("schema") String schema,
      @JsonProperty("database") String database,
      @JsonProperty("location") String location,
      @JsonProperty("comment") String comment,
      @JsonProperty("properties") Map<String, String> properties) {}

  /** A table as Spark's session catalog knows it. Delta keeps the schema in its own log. */
  record StoredTable(
      @JsonProperty("address") Address address,
      @JsonProperty("type") String type,
      @JsonProperty("location") String location,
      @JsonProperty("provider") String provider,
      @JsonProperty("schema") String schema,
      @JsonProperty("partitionColumns") List<String> partitionColumns,
      @JsonProperty("options") Map<String, String> options,
      @JsonProperty("properties") Map<String, String> properties,
      @JsonProperty("createTime") long createTime) {}

  /** The folder of a table that is being made; it was not there before. */
  record Unfinished(
      @JsonProperty("address") Address address, @JsonProperty("location") String location) {}

  /** A table that is on its way to another schema; {@code location} is where its files will be. */
  record Move(
      @JsonProperty("from") Address from,
      @JsonProperty("to") Address to,
      @JsonProperty("location") String location) {}

  /** A view with all that its text needs to be resolved as on the day it was created. */
  record StoredView(
      @JsonProperty("address") Address address,
      @JsonProperty("text") String text,
      @JsonProperty("schema") String schema,
      @JsonProperty("currentCatalog") String currentCatalog,
      @JsonProperty("currentNamespace") List<String> currentNamespace,
      @JsonProperty("sqlConfigs") Map<String, String> sqlConfigs,
      @JsonProperty("schemaMode") String schemaMode,
      @JsonProperty("queryColumnNames") List<String> queryColumnNames,
      @JsonProperty("properties") Map<String, String> properties,
      @JsonProperty("created") long created,
      @JsonProperty("altered") long altered) {}

  /** A tag on a relation, or on one of its columns when {@code column} is not null. */
  record Tag(
      @JsonProperty("address") Address address,
      @JsonProperty("column") String column,
      @JsonProperty("name") String name,
      @JsonProperty("value") String value) {}

  /** A primary key, or a foreign key when {@code references} is not null. Informational only. */
  record Key(
      @JsonProperty("address") Address address,
      @JsonProperty("name") String name,
      @JsonProperty("columns") List<String> columns,
      @JsonProperty("references") Reference references) {

    boolean isPrimary() {
      return references == null;
    }

    Key at(Address target) {
      return new Key(target, name, columns, references);
    }

    Key over(List<String> others) {
      return new Key(address, name, others, references);
    }

    Key referringTo(Reference parent) {
      return new Key(address, name, columns, parent);
    }
  }

  /** A volume. Its files lie where {@link Volumes} says; the owner at first is who created it. */
  record StoredVolume(
      @JsonProperty("catalog") String catalog,
      @JsonProperty("schema") String schema,
      @JsonProperty("name") String name,
      @JsonProperty("comment") String comment,
      @JsonProperty("created") long created,
      @JsonProperty("createdBy") String createdBy) {}

  /** The parent of a foreign key, and the columns of its primary key. */
  record Reference(
      @JsonProperty("catalog") String catalog,
      @JsonProperty("schema") String schema,
      @JsonProperty("table") String table,
      @JsonProperty("columns") List<String> columns) {

    Address address() {
      return new Address(PhysicalNames.database(catalog, schema), table);
    }
  }
}
