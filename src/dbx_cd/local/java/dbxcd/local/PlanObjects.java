package dbxcd.local;

import dbxcd.local.rights.Securable;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import org.apache.spark.sql.catalyst.TableIdentifier;
import org.apache.spark.sql.catalyst.analysis.ResolvedIdentifier;
import org.apache.spark.sql.catalyst.analysis.ResolvedNamespace;
import org.apache.spark.sql.catalyst.analysis.ResolvedPersistentView;
import org.apache.spark.sql.catalyst.analysis.ResolvedTable;
import org.apache.spark.sql.catalyst.catalog.CatalogTable;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.SubqueryAlias;
import org.apache.spark.sql.catalyst.streaming.StreamingRelationV2;
import org.apache.spark.sql.catalyst.streaming.WriteToStream;
import org.apache.spark.sql.connector.catalog.CatalogPlugin;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.delta.DeltaLogFileIndex;
import org.apache.spark.sql.delta.catalog.DeltaTableV2;
import org.apache.spark.sql.delta.commands.cdc.CDCReader;
import org.apache.spark.sql.delta.files.TahoeBatchFileIndex;
import org.apache.spark.sql.delta.sources.DeltaSink;
import org.apache.spark.sql.execution.datasources.FileIndex;
import org.apache.spark.sql.execution.datasources.HadoopFsRelation;
import org.apache.spark.sql.execution.datasources.LogicalRelation;
import org.apache.spark.sql.execution.datasources.v2.DataSourceV2Relation;
import org.apache.spark.sql.execution.datasources.v2.FileTable;
import org.apache.spark.sql.execution.streaming.runtime.StreamingRelation;
import scala.Option;
import scala.jdk.javaapi.CollectionConverters;

/**
 * Which object of a catalog a part of a plan stands for. Files in a table's folder stand for the table: who reads them
 * by their path needs what it takes to read it by name.
 */
final class PlanObjects {
  /** How Spark writes a sink of files, which does not tell its path otherwise. */
  private static final Pattern FILE_SINK = Pattern.compile("FileSink\\[(.*)]");

  private final Registry registry;

  PlanObjects(Registry registry) {
    this.registry = registry;
  }

  // ---------------------------------------------------------------- what a plan reads

  /** The tables or views whose rows a node of a plan gives; none for every other node, and for what Delta reads itself. */
  List<Securable> read(LogicalPlan node) {
    if (node instanceof LogicalRelation relation) {
      return ofRelation(relation);
    }
    if (node instanceof DataSourceV2Relation relation) {
      return named(relation.catalog(), relation.identifier()).map(List::of).orElseGet(() -> of(relation.table()));
    }
    if (node instanceof StreamingRelation stream) {
      Option<CatalogTable> table = stream.dataSource().catalogTable();
      return table.isDefined() ? List.of(table(table.get().identifier())) : at(path(stream));
    }
    if (node instanceof StreamingRelationV2 stream) {
      return named(stream.catalog(), stream.identifier()).map(List::of).orElseGet(() -> of(stream.table()));
    }
    return List.of();
  }

  /** The table or view that a node names and does not read: what {@code spark.catalog} looks up; empty for others. */
  Optional<Securable> named(LogicalPlan node) {
    boolean isName = node instanceof ResolvedTable || node instanceof ResolvedPersistentView;
    return isName ? target(node).stream().findFirst() : Optional.empty();
  }

  /** The table that a stream writes to, or whose folder it does; none for every other node. */
  List<Securable> written(LogicalPlan node) {
    if (!(node instanceof WriteToStream stream)) {
      return List.of();
    }
    if (stream.catalogTable().isDefined()) {
      return target(stream.catalogTable().get());
    }
    if (stream.sink() instanceof DeltaSink sink) {
      return at(sink.path().toString());
    }
    Matcher files = FILE_SINK.matcher(stream.sink().toString());
    return files.matches() ? at(files.group(1)) : List.of();
  }

  private static String path(StreamingRelation stream) {
    Option<String> path = stream.dataSource().options().get("path");
    return path.isDefined() ? path.get() : null;
  }

  private List<Securable> ofRelation(LogicalRelation relation) {
    if (relation.catalogTable().isDefined()) {
      return List.of(table(relation.catalogTable().get().identifier()));
    }
    if (relation.relation() instanceof CDCReader.DeltaCDFRelation changes) {
      return at(changes.snapshotWithSchemaMode().snapshot().path().toString());
    }
    return relation.relation() instanceof HadoopFsRelation files ? ofFiles(files.location()) : List.of();
  }

  private List<Securable> ofFiles(FileIndex index) {
    return index instanceof TahoeBatchFileIndex || index instanceof DeltaLogFileIndex
        ? List.of()
        : CollectionConverters.asJava(index.rootPaths()).stream()
            .flatMap(path -> at(path.toString()).stream())
            .distinct()
            .toList();
  }

  // ---------------------------------------------------------------- what a statement names

  /** The object that a statement names, under whatever alias; a path may be the way to more than one, or to none. */
  List<Securable> target(Object named) {
    if (named instanceof SubqueryAlias alias) {
      return target(alias.child());
    }
    if (named instanceof ResolvedTable table) {
      return isPath(table.identifier()) ? atPath(table) : relation(table.catalog(), table.identifier());
    }
    if (named instanceof ResolvedPersistentView view) {
      return relation(view.catalog(), view.identifier());
    }
    if (named instanceof ResolvedIdentifier name) {
      return isPath(name.identifier()) ? at(name.identifier().name()) : relation(name.catalog(), name.identifier());
    }
    if (named instanceof ResolvedNamespace namespace) {
      return List.of(namespace(namespace));
    }
    if (named instanceof CatalogTable table) {
      return target(table.identifier());
    }
    if (named instanceof TableIdentifier name) {
      return name.table().contains("/") ? at(name.table()) : List.of(table(name));
    }
    if (named instanceof Path path) {
      return at(path.toString());
    }
    if (named instanceof DeltaTableV2 table) {
      return of(table);
    }
    return named instanceof LogicalPlan plan ? read(plan) : List.of();
  }

  private static boolean isPath(Identifier name) {
    return name.name().contains("/");
  }

  private List<Securable> of(Table table) {
    if (table instanceof FileTable files) {
      return ofFiles(files.fileIndex());
    }
    if (!(table instanceof DeltaTableV2 delta)) {
      return List.of();
    }
    return delta.catalogTable().isDefined()
        ? target(delta.catalogTable().get())
        : at(delta.deltaLog().dataPath().toString()); // of `/folder@v1`, which names a version, the folder
  }

  private List<Securable> atPath(ResolvedTable table) {
    List<Securable> found = of(table.table());
    return found.isEmpty() ? at(table.identifier().name()) : found;
  }

  private Securable namespace(ResolvedNamespace named) {
    List<String> parts = CollectionConverters.asJava(named.namespace());
    String catalog = named.catalog().name();
    return parts.isEmpty()
        ? Securable.catalog(catalog)
        : SecurableNames.schema(registry, catalog, parts.get(parts.size() - 1));
  }

  private Optional<Securable> named(Option<CatalogPlugin> catalog, Option<Identifier> name) {
    boolean known = catalog.isDefined() && name.isDefined() && name.get().namespace().length > 0;
    boolean isCatalogs = known && !InformationSchema.NAME.equalsIgnoreCase(last(name.get().namespace()));
    return isCatalogs && !isPath(name.get()) ? relation(catalog.get(), name.get()).stream().findFirst() : Optional.empty();
  }

  private List<Securable> relation(CatalogPlugin catalog, Identifier name) {
    return List.of(SecurableNames.table(registry, catalog.name(), last(name.namespace()), name.name()));
  }

  private static String last(String[] namespace) {
    return namespace.length == 0 ? "" : namespace[namespace.length - 1];
  }

  /** The relation of a name as Spark's session catalog, or a view, has it. */
  Securable table(TableIdentifier name) {
    String catalog = name.catalog().isDefined() ? name.catalog().get() : "spark_catalog";
    return SecurableNames.table(registry, catalog, name.database().get(), name.table());
  }

  /** A function of the session catalog. */
  Securable function(FunctionIdentifier name) {
    return SecurableNames.function(registry, name.database().get(), name.funcName());
  }

  boolean exists(FunctionIdentifier name) {
    return name.database().isDefined()
        && registry.functions().has(name.database().get(), name.funcName().toLowerCase(Locale.ROOT));
  }

  boolean existsSchema(Securable schema) {
    return SecurableNames.isSchema(registry, schema);
  }

  /** Whether there is such a relation. */
  boolean exists(Securable relation) {
    return SecurableNames.isRelation(registry, relation);
  }

  /** The tables whose files a path leads to. */
  List<Securable> at(String path) {
    return path == null
        ? List.of()
        : registry.tablesAt(new Path(path)).stream().map(address -> SecurableNames.table(registry, address)).toList();
  }
}
