package dbxcd.local;

import dbxcd.local.Contents.Address;
import java.util.List;
import java.util.Set;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException;
import org.apache.spark.sql.catalyst.analysis.NoSuchTableException;
import org.apache.spark.sql.catalyst.analysis.NoSuchViewException;
import org.apache.spark.sql.catalyst.analysis.ViewAlreadyExistsException;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.Relation;
import org.apache.spark.sql.connector.catalog.RelationCatalog;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableWritePrivilege;
import org.apache.spark.sql.connector.catalog.View;

/**
 * A catalog with real three-level names over Delta's session catalog. Tables are delegated to
 * DeltaCatalog, which does all the work; views, keys and tags are kept by the {@link Registry}.
 */
public final class LocalCatalog extends LocalStaging implements RelationCatalog, NoFunctions {
  // ---------------------------------------------------------------- tables

  @Override
  public Identifier[] listTables(String[] namespace) throws NoSuchNamespaceException {
    if (isInformationSchema(namespace)) {
      return InformationSchema.tables(namespace);
    }
    if (!namespaceExists(namespace)) {
      throw new NoSuchNamespaceException(qualified(namespace));
    }
    return seen(namespace, registry().tableNames(physical(namespace)[0]));
  }

  /** Those of the relations of a schema that the session's user sees. */
  private Identifier[] seen(String[] namespace, List<String> relations) {
    SeenObjects seen = SeenObjects.of(SparkSession.active());
    String database = physical(namespace)[0];
    return relations.stream()
        .filter(relation -> seen.seesRelation(new Address(database, relation)))
        .map(relation -> Identifier.of(namespace, relation))
        .toArray(Identifier[]::new);
  }

  @Override
  public Relation loadRelation(Identifier ident) throws NoSuchTableException {
    if (isInformationSchema(ident.namespace())) {
      return InformationSchema.table(name(), List.of(name()), ident);
    }
    View view = registry().views().view(address(ident)).orElse(null);
    return view != null ? view : FilesTable.of(shown(ident), tables().loadTable(physical(ident)));
  }

  private String shown(Identifier ident) {
    return String.join(".", qualified(ident.namespace())) + "." + ident.name();
  }

  @Override
  public Table loadTable(Identifier ident) throws NoSuchTableException {
    return RelationCatalog.super.loadTable(ident);
  }

  @Override
  public Table loadTable(Identifier ident, Set<TableWritePrivilege> privileges)
      throws NoSuchTableException {
    return loadTable(ident);
  }

  @Override
  public Table loadTable(Identifier ident, String version) throws NoSuchTableException {
    return tables().loadTable(physical(ident), version);
  }

  @Override
  public Table loadTable(Identifier ident, long timestamp) throws NoSuchTableException {
    return tables().loadTable(physical(ident), timestamp);
  }

  @Override
  public boolean tableExists(Identifier ident) {
    return RelationCatalog.super.tableExists(ident);
  }

  @Override
  public void invalidateTable(Identifier ident) {
    if (!isInformationSchema(ident.namespace())) {
      tables().invalidateTable(physical(ident));
    }
  }

  // ---------------------------------------------------------------- views

  @Override
  public Identifier[] listViews(String[] namespace) {
    if (isInformationSchema(namespace)) {
      return new Identifier[0];
    }
    return seen(namespace, registry().views().names(physical(namespace)[0]));
  }

  @Override
  public View createView(Identifier ident, View view)
      throws ViewAlreadyExistsException, NoSuchNamespaceException {
    Identifier physical = requireNamespace(ident);
    if (tables().tableExists(physical) || !registry().views().create(address(ident), view)) {
      throw new ViewAlreadyExistsException(ident);
    }
    return view;
  }

  /** CREATE OR REPLACE VIEW keeps no privileges, ALTER VIEW does (documentation, "CREATE VIEW"). */
  @Override
  public View replaceView(Identifier ident, View view) throws NoSuchViewException {
    if (!registry().views().replace(address(ident), view)) {
      throw new NoSuchViewException(ident);
    }
    if (OngoingWork.isOf("org.apache.spark.sql.execution.datasources.v2.CreateV2ViewExec")) {
      registry().rights().change(() -> registry().rights().ledger().revokeAll(SecurableNames.table(registry(), address(ident))));
    }
    return view;
  }

  @Override
  public boolean dropView(Identifier ident) {
    return registry().views().drop(address(ident));
  }

  @Override
  public void renameView(Identifier from, Identifier to)
      throws NoSuchViewException, ViewAlreadyExistsException {
    Identifier target = sameSchemaUnlessGiven(from, to);
    requireNamespaceToRename(target);
    if (viewExists(target) || tables().tableExists(physical(target))) {
      throw new ViewAlreadyExistsException(target);
    }
    if (!registry().views().rename(address(from), address(target))) {
      throw new NoSuchViewException(from);
    }
  }
}
