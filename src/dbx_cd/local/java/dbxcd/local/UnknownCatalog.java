package dbxcd.local;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.spark.QueryContext;
import org.apache.spark.sql.AnalysisException;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.analysis.UnresolvedAttribute;
import org.apache.spark.sql.catalyst.analysis.UnresolvedIdentifier;
import org.apache.spark.sql.catalyst.analysis.UnresolvedNamespace;
import org.apache.spark.sql.catalyst.analysis.UnresolvedRelation;
import org.apache.spark.sql.catalyst.analysis.UnresolvedTable;
import org.apache.spark.sql.catalyst.analysis.UnresolvedTableOrView;
import org.apache.spark.sql.catalyst.analysis.UnresolvedView;
import org.apache.spark.sql.catalyst.plans.logical.InsertIntoStatement;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.rules.Rule;
import org.apache.spark.sql.execution.command.SetCatalogCommand;
import org.apache.spark.sql.execution.command.ShowNamespacesCommand;
import scala.Option;
import scala.collection.immutable.Seq;
import scala.jdk.javaapi.CollectionConverters;
import scala.runtime.AbstractFunction1;
import scala.runtime.BoxedUnit;

/**
 * Refuses names in a catalog that does not exist. Spark takes the first part of such a name for a
 * schema of the current catalog, and then speaks of {@code spark_catalog} or of nested schemas.
 * Hints are resolved before names are looked up; views' own text comes past here as well.
 */
public final class UnknownCatalog extends AbstractFunction1<SparkSessionExtensions, Object> {
  @Override
  public Object apply(SparkSessionExtensions extensions) {
    extensions.injectHintResolutionRule(Check::new);
    return null;
  }

  private static final class Check extends Rule<LogicalPlan> {
    private final SparkSession session;

    Check(SparkSession session) {
      this.session = session;
    }

    @Override
    public LogicalPlan apply(LogicalPlan plan) {
      plan.foreachWithSubqueries(
          new AbstractFunction1<LogicalPlan, BoxedUnit>() {
            @Override
            public BoxedUnit apply(LogicalPlan node) {
              check(node);
              return BoxedUnit.UNIT;
            }
          });
      return plan;
    }

    private void check(LogicalPlan node) {
      if (node instanceof UnresolvedRelation relation) {
        require(relation.multipartIdentifier(), 3);
      } else if (node instanceof UnresolvedTable table) {
        require(table.multipartIdentifier(), 3);
      } else if (node instanceof UnresolvedTableOrView either) {
        require(either.multipartIdentifier(), 3);
      } else if (node instanceof UnresolvedView view) {
        require(view.multipartIdentifier(), 3);
      } else if (node instanceof UnresolvedIdentifier name) {
        require(name.nameParts(), 3);
      } else if (node instanceof UnresolvedNamespace namespace) {
        require(namespace.multipartIdentifier(), 2);
      } else if (node instanceof ShowNamespacesCommand show) {
        requireOnly(show.child());
      } else if (node instanceof InsertIntoStatement insert) {
        check(insert.table()); // it is no child of the statement
      } else if (node instanceof SetCatalogCommand use
          && use.catalogNameExpr() instanceof UnresolvedAttribute name) {
        UnknownCatalog.require(session, String.join(".", CollectionConverters.asJava(name.nameParts())));
      }
    }

    /** SHOW SCHEMAS IN takes a catalog, and no schema has schemas. */
    private void requireOnly(LogicalPlan place) {
      if (place instanceof UnresolvedNamespace namespace) {
        require(namespace.multipartIdentifier(), 1);
      }
    }

    /** A schema has one name, so a name of that many parts begins with a catalog. */
    private void require(Seq<String> parts, int whole) {
      if (parts.length() >= whole) {
        UnknownCatalog.require(session, parts.head());
      }
    }
  }

  /** Refuses a catalog that does not exist; a session may still know one that was dropped. */
  public static void require(SparkSession session, String catalog) {
    String name = catalog.toLowerCase(Locale.ROOT);
    boolean dropped = Registry.of(session).catalogs().isDropped(name);
    // A catalog that the session has not used yet is looked up in the settings of whichever session is active.
    boolean known =
        (Boolean) session.withActive(() -> session.sessionState().catalogManager().isCatalogRegistered(catalog));
    if (dropped || !known) {
      SeenObjects seen = SeenObjects.of(session);
      throw Exceptions.unchecked(
          notFound(catalog, CatalogStatements.names(session).stream().filter(seen::seesCatalog).toList()));
    }
  }

  private static AnalysisException notFound(String catalog, List<String> present) {
    String text =
        "[CATALOG_NOT_FOUND] The catalog `%s` does not exist here; there are: %s. Next: correct the name, or start the"
            + " workspace with --catalog %s. SQLSTATE: 42P08";
    return new AnalysisException(
        text.formatted(catalog, String.join(", ", present), catalog),
        Option.empty(),
        Option.empty(),
        Option.empty(),
        Option.apply("CATALOG_NOT_FOUND"),
        scala.collection.immutable.Map.from(
            CollectionConverters.asScala(Map.of("catalogName", "`" + catalog + "`"))),
        new QueryContext[0]);
  }
}
