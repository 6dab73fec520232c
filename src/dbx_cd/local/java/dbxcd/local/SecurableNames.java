package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.Contents.StoredVolume;
import dbxcd.local.rights.Securable;
import dbxcd.local.rights.SecurableKind;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.apache.spark.sql.SparkSession;

/** Between the names of statements and of Spark's session catalog and the objects that rights are granted on. */
final class SecurableNames {
  private SecurableNames() {}

  /** The relation at an address of the session catalog; a database of nobody's is a schema of {@code spark_catalog}. */
  static Securable table(Registry registry, Address address) {
    Securable schema = schema(registry, address.database());
    return Securable.table(schema.name().get(0), schema.name().get(1), address.name());
  }

  /** A function of a database of the session catalog. */
  static Securable function(Registry registry, String database, String name) {
    List<String> schema = schema(registry, database).name();
    return new Securable(SecurableKind.FUNCTION, List.of(schema.get(0), schema.get(1), name));
  }

  static Securable volume(StoredVolume volume) {
    return new Securable(SecurableKind.VOLUME, Volumes.name(volume));
  }

  static Securable schema(Registry registry, String database) {
    Namespace known = registry.namespace(database.toLowerCase(Locale.ROOT)).orElse(null);
    return known == null ? Securable.schema("spark_catalog", database) : Securable.schema(known.catalog(), known.schema());
  }

  /**
   * A schema as a statement has it. Whoever finds a table by its name in the session catalog
   * ({@code spark_catalog.stg__shop.orders}) gets at the same one, and needs the same rights.
   */
  static Securable schema(Registry registry, String catalog, String schema) {
    return catalog.equalsIgnoreCase("spark_catalog") ? schema(registry, schema) : Securable.schema(catalog, schema);
  }

  static Securable table(Registry registry, String catalog, String schema, String table) {
    Securable in = schema(registry, catalog, schema);
    return Securable.table(in.name().get(0), in.name().get(1), table);
  }

  /** The object that a statement names; the current catalog and schema fill in what is left out. */
  static Securable named(SparkSession session, SecurableKind kind, List<String> name) {
    return switch (kind) {
      case METASTORE -> Securable.METASTORE;
      case CATALOG ->
          new Securable(kind, name.isEmpty() ? Statements.qualify(session, List.of("s", "t")).subList(0, 1) : name);
      case SCHEMA -> {
        List<String> full = Statements.qualify(session, append(name));
        Securable known = schema(Registry.of(session), full.get(0), full.get(1));
        yield full.size() == 3 ? known : new Securable(kind, name);
      }
      default -> {
        List<String> full = Statements.qualify(session, name);
        Securable in = schema(Registry.of(session), full.get(0), full.get(1));
        List<String> inSchema = full.subList(2, full.size());
        yield new Securable(kind, Stream.concat(in.name().stream(), inSchema.stream()).toList());
      }
    };
  }

  private static List<String> append(List<String> schema) {
    return Stream.concat(schema.stream(), Stream.of("any")).toList();
  }

  /** Whether there is such an object. The catalogs of the system and {@code information_schema} are none's to grant. */
  static boolean exists(SparkSession session, Securable securable) {
    Registry registry = Registry.of(session);
    List<String> name = securable.name();
    return switch (securable.kind()) {
      case METASTORE -> true;
      case CATALOG -> CatalogStatements.names(session).contains(name.get(0)) || name.get(0).equals("spark_catalog");
      case SCHEMA -> isSchema(registry, securable);
      case TABLE -> isRelation(registry, securable);
      case VOLUME -> registry.volumes().find(name).isPresent();
      case FUNCTION -> registry.functions().has(PhysicalNames.database(name.get(0), name.get(1)), name.get(2));
    };
  }

  /** Refuses what does not exist, as the platform does. */
  static Securable requireExisting(SparkSession session, Securable securable) {
    if (exists(session, securable)) {
      return securable;
    }
    String name = "`" + String.join("`.`", securable.name()) + "`";
    throw switch (securable.kind()) {
      case CATALOG -> Denials.error("CATALOG_NOT_FOUND", "The catalog " + name + " not found.", "42P08");
      case SCHEMA -> Denials.error("SCHEMA_NOT_FOUND", "The schema " + name + " cannot be found.", "42704");
      case VOLUME -> VolumeStatements.missing(securable.name());
      case FUNCTION -> Denials.error("ROUTINE_NOT_FOUND", "The routine " + name + " cannot be found.", "42883");
      default ->
          Denials.error("TABLE_OR_VIEW_NOT_FOUND", "The table or view " + name + " cannot be found.", "42P01");
    };
  }

  /** Whether it is a view, which nothing can be written to. */
  static boolean isView(SparkSession session, Securable securable) {
    return securable.kind() == SecurableKind.TABLE
        && Registry.of(session).storedView(Statements.address(securable.name())).isPresent();
  }

  /** Whether there is a schema of that name. */
  static boolean isSchema(Registry registry, Securable schema) {
    return registry.hasDatabase(PhysicalNames.database(schema.name().get(0), schema.name().get(1)));
  }

  /** Whether there is a table or view of that name. */
  static boolean isRelation(Registry registry, Securable relation) {
    Address address = Statements.address(relation.name());
    return registry.table(address).isPresent() || registry.storedView(address).isPresent();
  }
}
