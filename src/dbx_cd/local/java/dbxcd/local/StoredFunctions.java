package dbxcd.local;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import org.apache.spark.sql.catalyst.catalog.CatalogFunction;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalog;
import org.apache.spark.sql.catalyst.catalog.FunctionResource;
import org.apache.spark.sql.catalyst.catalog.FunctionResourceType$;
import scala.Option;
import scala.jdk.javaapi.CollectionConverters;

/** The functions of all catalogs, as Spark's session catalog keeps them. Guarded by the registry that has it. */
final class StoredFunctions {
  private final TreeMap<String, StoredFunction> byName = new TreeMap<>();

  /** A function; {@code resources} hold its parameters, its body and its context, cut into pieces by Spark. */
  record StoredFunction(
      @JsonProperty("database") String database,
      @JsonProperty("name") String name,
      @JsonProperty("className") String className,
      @JsonProperty("resources") List<Resource> resources) {

    CatalogFunction toSpark() {
      List<FunctionResource> parts =
          resources.stream()
              .map(r -> new FunctionResource(FunctionResourceType$.MODULE$.fromString(r.type()), r.text()))
              .toList();
      return new CatalogFunction(
          new FunctionIdentifier(name, Option.apply(database)),
          className,
          CollectionConverters.asScala(parts).toSeq());
    }
  }

  /** A piece of a function. */
  record Resource(@JsonProperty("type") String type, @JsonProperty("text") String text) {}

  synchronized boolean has(String database, String name) {
    return byName.containsKey(key(database, name));
  }

  synchronized List<StoredFunction> all() {
    return List.copyOf(byName.values());
  }

  /** Puts the functions of the registry's file into Spark's catalog; those of a schema that is gone are left out. */
  synchronized void restore(List<StoredFunction> stored, ExternalCatalog spark) {
    for (StoredFunction function : stored) {
      if (spark.databaseExists(function.database())) {
        spark.createFunction(function.database(), function.toSpark());
        byName.put(key(function.database(), function.name()), function);
      }
    }
  }

  /** A function was created, altered or dropped. */
  synchronized void changed(String database, String name, ExternalCatalog spark) {
    if (!spark.functionExists(database, name)) {
      byName.remove(key(database, name));
      return;
    }
    CatalogFunction function = spark.getFunction(database, name);
    List<Resource> resources = new ArrayList<>();
    for (FunctionResource resource : CollectionConverters.asJava(function.resources())) {
      resources.add(new Resource(resource.resourceType().resourceType(), resource.uri()));
    }
    byName.put(key(database, name), new StoredFunction(database, name, function.className(), resources));
  }

  synchronized void databaseDropped(String database) {
    byName.values().removeIf(function -> function.database().equals(database));
  }

  private static String key(String database, String name) {
    return database + "." + name;
  }
}
