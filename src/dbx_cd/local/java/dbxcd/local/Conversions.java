package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.Contents.StoredTable;
import dbxcd.local.Contents.StoredView;
import java.net.URI;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.sql.catalyst.TableIdentifier;
import org.apache.spark.sql.catalyst.catalog.CatalogDatabase;
import org.apache.spark.sql.catalyst.catalog.CatalogStorageFormat;
import org.apache.spark.sql.catalyst.catalog.CatalogTable;
import org.apache.spark.sql.catalyst.catalog.CatalogTableType;
import org.apache.spark.sql.connector.catalog.View;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;
import scala.Option;
import scala.jdk.javaapi.CollectionConverters;

/** Between Spark's catalog objects and the records of the registry file. */
final class Conversions {
  private Conversions() {}

  static Namespace toRecord(CatalogDatabase database, String catalog, String schema) {
    return new Namespace(
        catalog,
        schema,
        database.name(),
        database.locationUri().toString(),
        database.description(),
        javaMap(database.properties()));
  }

  static CatalogDatabase toSpark(Namespace namespace) {
    return new CatalogDatabase(
        namespace.database(),
        namespace.comment(),
        URI.create(namespace.location()),
        scalaMap(namespace.properties()));
  }

  static StoredTable toRecord(CatalogTable table) {
    return new StoredTable(
        new Address(table.identifier().database().get(), table.identifier().table()),
        table.tableType().name(),
        table.storage().locationUri().map(URI::toString).getOrElse(() -> null),
        table.provider().getOrElse(() -> null),
        table.schema().json(),
        CollectionConverters.asJava(table.partitionColumnNames()),
        javaMap(table.storage().properties()),
        javaMap(table.properties()),
        table.createTime());
  }

  static CatalogTable toSpark(StoredTable table) {
    Option<String> none = Option.empty();
    CatalogStorageFormat storage =
        new CatalogStorageFormat(
            Option.apply(table.location()).map(URI::create),
            none,
            none,
            none,
            false,
            scalaMap(table.options()),
            none);
    return new CatalogTable(
        new TableIdentifier(table.address().name(), Option.apply(table.address().database())),
        CatalogTableType.apply(table.type()),
        storage,
        (StructType) DataType.fromJson(table.schema()),
        Option.apply(table.provider()),
        CollectionConverters.asScala(table.partitionColumns()).toSeq(),
        CatalogTable.apply$default$7(),
        CatalogTable.apply$default$8(),
        table.createTime(),
        CatalogTable.apply$default$10(),
        CatalogTable.apply$default$11(),
        scalaMap(table.properties()),
        CatalogTable.apply$default$13(),
        CatalogTable.apply$default$14(),
        CatalogTable.apply$default$15(),
        CatalogTable.apply$default$16(),
        CatalogTable.apply$default$17(),
        CatalogTable.apply$default$18(),
        CatalogTable.apply$default$19(),
        CatalogTable.apply$default$20(),
        CatalogTable.apply$default$21(),
        CatalogTable.apply$default$22());
  }

  static StoredView toRecord(Address address, View view, long created, long altered) {
    return new StoredView(
        address,
        view.queryText(),
        view.schema().json(),
        view.currentCatalog(),
        view.currentNamespace() == null ? null : List.of(view.currentNamespace()),
        view.sqlConfigs(),
        view.schemaMode(),
        view.queryColumnNames() == null ? null : List.of(view.queryColumnNames()),
        view.properties(),
        created,
        altered);
  }

  static View toSpark(StoredView view) {
    View.Builder builder = new View.Builder();
    builder.withSchema((StructType) DataType.fromJson(view.schema()));
    builder.withProperties(new HashMap<>(view.properties()));
    return builder
        .withQueryText(view.text())
        .withCurrentCatalog(view.currentCatalog())
        .withCurrentNamespace(array(view.currentNamespace()))
        .withSqlConfigs(view.sqlConfigs())
        .withSchemaMode(view.schemaMode())
        .withQueryColumnNames(array(view.queryColumnNames()))
        .build();
  }

  private static String[] array(List<String> list) {
    return list == null ? null : list.toArray(String[]::new);
  }

  private static Map<String, String> javaMap(
      scala.collection.immutable.Map<String, String> map) {
    return new HashMap<>(CollectionConverters.asJava(map));
  }

  private static scala.collection.immutable.Map<String, String> scalaMap(Map<String, String> map) {
    return scala.collection.immutable.Map.from(CollectionConverters.asScala(map));
  }
}
