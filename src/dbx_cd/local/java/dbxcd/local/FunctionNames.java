package dbxcd.local;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.analysis.AnalysisContext;
import org.apache.spark.sql.catalyst.analysis.FunctionAlreadyExistsException;
import org.apache.spark.sql.catalyst.analysis.NoSuchFunctionException;
import org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException;
import org.apache.spark.sql.catalyst.analysis.UnresolvedFunction;
import org.apache.spark.sql.catalyst.analysis.UnresolvedIdentifier;
import org.apache.spark.sql.catalyst.analysis.UnresolvedTableValuedFunction;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.PlanExpression;
import org.apache.spark.sql.catalyst.parser.ParseException;
import org.apache.spark.sql.catalyst.plans.logical.CreateUserDefinedFunction;
import org.apache.spark.sql.catalyst.plans.logical.DropFunction;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.rules.Rule;
import org.apache.spark.sql.catalyst.trees.Origin;
import org.apache.spark.sql.catalyst.trees.TreeNode;
import org.apache.spark.sql.catalyst.trees.TreeNodeTag;
import org.apache.spark.sql.catalyst.trees.TreePattern;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.errors.QueryCompilationErrors;
import scala.Function1;
import scala.Option;
import scala.collection.immutable.Seq;
import scala.jdk.javaapi.CollectionConverters;
import scala.runtime.AbstractFunction1;
import scala.runtime.AbstractPartialFunction;

/**
 * Functions of three-level names. Spark keeps functions written in SQL in its session catalog only, so a name of one of
 * the local catalogs becomes the name in there before Spark looks functions up: in calls, also those in views and in
 * other functions, and where a function is created or dropped.
 */
public final class FunctionNames extends AbstractFunction1<SparkSessionExtensions, Object> {
  @Override
  public Object apply(SparkSessionExtensions extensions) {
    // Rules for hints are the only ones that run before Spark looks functions up.
    extensions.injectHintResolutionRule(Renaming::new);
    return null;
  }

  /** Where Spark has built-in and temporary functions. */
  private static final Set<String> SESSION_SCHEMAS = Set.of("builtin", "session");

  /** Spark writes the arguments of a table function into its body: which queries there are the caller's. */
  private static final TreeNodeTag<Object> ARGUMENT = new TreeNodeTag<>("dbxcd.argument");

  static boolean isArgument(Expression query) {
    return query.getTagValue(ARGUMENT).isDefined();
  }

  private static final class Renaming extends Rule<LogicalPlan> {
    private final SparkSession session;

    Renaming(SparkSession session) {
      this.session = session;
    }

    @Override
    public LogicalPlan apply(LogicalPlan plan) {
      return plan.resolveOperatorsUp(partial(this::renamed));
    }

    private LogicalPlan renamed(LogicalPlan node) {
      if (node instanceof CreateUserDefinedFunction create && create.child() instanceof UnresolvedIdentifier name) {
        return withBody(create).withNewChildInternal(target(create, name));
      }
      if (node instanceof DropFunction drop && drop.child() instanceof UnresolvedIdentifier name) {
        return drop.withNewChildInternal(target(drop, name));
      }
      if (node instanceof UnresolvedTableValuedFunction call) {
        CollectionConverters.asJava(call.functionArgs()).forEach(Renaming::markQueries);
        return withExpressions(
            storedOrUnknown(call.name(), call.origin())
                .map(name -> call.copy(name, call.functionArgs(), call.isStreaming()))
                .orElse(call));
      }
      return withExpressions(node);
    }

    private static void markQueries(Expression argument) {
      if (argument instanceof PlanExpression<?>) {
        argument.setTagValue(ARGUMENT, true);
      }
      CollectionConverters.asJava(argument.children()).forEach(Renaming::markQueries);
    }

    private LogicalPlan withExpressions(LogicalPlan node) {
      return node.containsPattern(TreePattern.UNRESOLVED_FUNCTION()) // not each row of a seed
          ? (LogicalPlan) node.transformExpressionsUp(partial(this::renamed))
          : node;
    }

    private Expression renamed(Expression expression) {
      if (!(expression instanceof UnresolvedFunction call) || call.isInternal()) {
        return expression;
      }
      return storedOrUnknown(call.nameParts(), call.origin())
          .<Expression>map(
              name ->
                  call.copy(
                      name,
                      call.arguments(),
                      call.isDistinct(),
                      call.filter(),
                      call.ignoreNulls(),
                      call.orderingWithinGroup(),
                      false))
          .orElse(call);
    }

    private CreateUserDefinedFunction withBody(CreateUserDefinedFunction create) {
      return create.copy(
          create.child(),
          create.inputParamText(),
          create.returnTypeText(),
          renamedText(create.exprText(), false),
          renamedText(create.queryText(), true),
          create.comment(),
          create.collation(),
          create.isDeterministic(),
          create.containsSQL(),
          create.language(),
          create.isTableFunc(),
          create.ignoreIfExists(),
          create.replace());
    }

    private Option<String> renamedText(Option<String> text, boolean isQuery) {
      if (text.isEmpty()) {
        return text;
      }
      try {
        var parser = session.sessionState().sqlParser();
        TreeNode<?> parsed = isQuery ? parser.parseQuery(text.get()) : parser.parseExpression(text.get());
        return Option.apply(FunctionBody.renamed(text.get(), parsed, inBody));
      } catch (ParseException e) {
        return text; // Spark says what is wrong with it
      }
    }

    private final FunctionBody.Names inBody =
        new FunctionBody.Names() {
          @Override
          public Optional<String> ofFunction(Seq<String> called, Origin origin) {
            return storedOrUnknown(called, origin).map(name -> quoted(List.of(name.apply(1), name.apply(2))));
          }

          @Override
          public Optional<String> ofRelation(Seq<String> name) {
            return name.size() > 2 || Statements.isTemporaryView(session, parts(name))
                ? Optional.empty()
                : Optional.of(quoted(Statements.qualify(session, parts(name))));
          }
        };

    private static String quoted(List<String> names) {
      return names.stream().map(name -> "`" + name.replace("`", "``") + "`").collect(Collectors.joining("."));
    }

    private UnresolvedIdentifier target(LogicalPlan statement, UnresolvedIdentifier name) {
      FunctionName function = FunctionName.of(session, parts(name.nameParts()), context()).orElse(null);
      if (function == null) {
        return name;
      }
      boolean exists = function.exists(session);
      if (!Registry.of(session).hasDatabase(function.database())) {
        throw Exceptions.unchecked(
            new NoSuchNamespaceException(new String[] {function.catalog(), function.schema()}));
      }
      if (statement instanceof DropFunction drop && !exists && !drop.ifExists()) {
        throw Exceptions.unchecked(
            new NoSuchFunctionException(
                Identifier.of(new String[] {function.catalog(), function.schema()}, function.name())));
      }
      if (statement instanceof CreateUserDefinedFunction create
          && exists
          && !create.replace()
          && !create.ignoreIfExists()) {
        List<String> parts = List.of(function.catalog(), function.schema(), function.name());
        throw Exceptions.unchecked(new FunctionAlreadyExistsException(seq(parts)));
      }
      function.forget(session);
      return name.copy(seq(function.inSessionCatalog()), name.allowTemp());
    }

    /** The name in the session catalog of a function that one of the local catalogs has. */
    private Optional<Seq<String>> stored(Seq<String> called) {
      List<String> parts = parts(called);
      if (isSparks(session, parts)) {
        return Optional.empty();
      }
      if (parts.size() == 2 && Registry.of(session).functions().has(parts.get(0), parts.get(1))) {
        return Optional.of(seq(List.of("spark_catalog", parts.get(0), parts.get(1)))); // in another function's body
      }
      return FunctionName.of(session, parts, context())
          .filter(function -> function.exists(session))
          .map(
              function -> {
                function.forget(session);
                return seq(function.inSessionCatalog());
              });
    }

    /** As Spark says it of its session catalog; of others it says that they have no functions. */
    private Optional<Seq<String>> storedOrUnknown(Seq<String> called, Origin origin) {
      Optional<Seq<String>> name = stored(called);
      List<String> parts = parts(called);
      if (name.isPresent() || isSparks(session, parts)) {
        return name;
      }
      FunctionName function = FunctionName.of(session, parts, context()).orElse(null);
      if (function == null) {
        return name;
      }
      List<String> path = List.of("`system`.`builtin`", "`system`.`session`", function.quotedSchema());
      throw Exceptions.unchecked(
          QueryCompilationErrors.unresolvedRoutineError(called, seq(path), origin));
    }

    /** The catalog and schema that complete names: those of the view or function whose text is read, if one is. */
    private List<String> context() {
      return parts(AnalysisContext.get().catalogAndNamespace());
    }

    private static List<String> parts(Seq<String> names) {
      return new ArrayList<>(CollectionConverters.asJava(names));
    }

    private static Seq<String> seq(List<String> names) {
      return CollectionConverters.asScala(names).toSeq();
    }
  }

  /** Whether it is built in or temporary, which come before all others. */
  static boolean isSparks(SparkSession session, List<String> parts) {
    if (parts.size() != 1) {
      return parts.size() == 2 && SESSION_SCHEMAS.contains(parts.get(0).toLowerCase(Locale.ROOT));
    }
    String name = parts.get(0);
    var catalog = session.sessionState().catalog();
    return catalog.lookupBuiltinOrTempFunction(name).isDefined()
        || catalog.lookupBuiltinOrTempTableFunction(name).isDefined();
  }

  private static <T> AbstractPartialFunction<T, T> partial(java.util.function.UnaryOperator<T> change) {
    return new AbstractPartialFunction<>() {
      @Override
      public boolean isDefinedAt(T node) {
        return true;
      }

      @Override
      public <A extends T, B> B applyOrElse(A node, Function1<A, B> otherwise) {
        @SuppressWarnings("unchecked")
        B changed = (B) change.apply(node);
        return changed;
      }
    };
  }
}
