package dbxcd.local;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.spark.sql.catalyst.analysis.UnresolvedFunction;
import org.apache.spark.sql.catalyst.analysis.UnresolvedRelation;
import org.apache.spark.sql.catalyst.analysis.UnresolvedTableValuedFunction;
import org.apache.spark.sql.catalyst.expressions.PlanExpression;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.SubqueryAlias;
import org.apache.spark.sql.catalyst.plans.logical.UnresolvedWith;
import org.apache.spark.sql.catalyst.trees.Origin;
import org.apache.spark.sql.catalyst.trees.TreeNode;
import scala.collection.immutable.Seq;
import scala.jdk.javaapi.CollectionConverters;

/**
 * The text of a function with full names in it. Spark keeps no catalog and schema with a function, so its text would mean
 * the tables of whoever calls it; and it looks up the functions that it calls by names of at most two parts.
 */
final class FunctionBody {
  private static final String IDENTIFIER = "`((?:[^`]|``)+)`|(\\w+)";
  private static final Pattern PART = Pattern.compile(IDENTIFIER);
  private static final Pattern NAME =
      Pattern.compile("(?:" + IDENTIFIER + ")(?:\\s*\\.\\s*(?:" + IDENTIFIER + "))*");

  private final String text;
  private final Names names;

  /** Relations that the text itself defines. */
  private final Set<String> defined = new HashSet<>();

  /** The replacements by their places in the text, the last one first. */
  private final TreeMap<Integer, String> found = new TreeMap<>(Comparator.reverseOrder());

  /** What is written instead of a name; empty where it stays. */
  interface Names {
    Optional<String> ofFunction(Seq<String> name, Origin origin);

    Optional<String> ofRelation(Seq<String> name);
  }

  private FunctionBody(String text, Names names) {
    this.text = text;
    this.names = names;
  }

  /** {@code parsed} is what the text means. */
  static String renamed(String text, TreeNode<?> parsed, Names names) {
    FunctionBody body = new FunctionBody(text, names);
    body.define(parsed);
    body.visit(parsed);
    StringBuilder changed = new StringBuilder(text);
    body.found.forEach(
        (place, name) -> {
          Matcher matcher = NAME.matcher(text).region(place, text.length());
          if (matcher.lookingAt()) {
            changed.replace(matcher.start(), matcher.end(), name);
          }
        });
    return changed.toString();
  }

  private void define(TreeNode<?> node) {
    if (node instanceof UnresolvedWith with) {
      for (var relation : CollectionConverters.asJava(with.cteRelations())) {
        defined.add(relation._1().toLowerCase(Locale.ROOT));
      }
    }
    inside(node).forEach(this::define);
  }

  private void visit(TreeNode<?> node) {
    if (node instanceof UnresolvedFunction call) {
      names.ofFunction(call.nameParts(), call.origin()).ifPresent(n -> note(call.nameParts(), call.origin(), n));
    } else if (node instanceof UnresolvedTableValuedFunction call) {
      names.ofFunction(call.name(), call.origin()).ifPresent(n -> note(call.name(), call.origin(), n));
    } else if (node instanceof UnresolvedRelation relation) {
      Seq<String> name = relation.multipartIdentifier();
      if (name.size() > 1 || !defined.contains(name.head().toLowerCase(Locale.ROOT))) {
        names.ofRelation(name).ifPresent(n -> note(name, relation.origin(), n));
      }
    }
    inside(node).forEach(this::visit);
  }

  private static List<TreeNode<?>> inside(TreeNode<?> node) {
    List<TreeNode<?>> nodes = new ArrayList<>();
    if (node instanceof PlanExpression<?> subquery) {
      nodes.add(subquery.plan());
    }
    if (node instanceof LogicalPlan plan) {
      nodes.addAll(CollectionConverters.asJava(plan.expressions()));
    }
    if (node instanceof UnresolvedWith with) {
      CollectionConverters.asJava(with.cteRelations()).forEach(relation -> nodes.add((SubqueryAlias) relation._2()));
    }
    for (Object child : CollectionConverters.asJava(node.children())) {
      nodes.add((TreeNode<?>) child);
    }
    return nodes;
  }

  /** Only where the text there is the name: it may be {@code IDENTIFIER('name')}. */
  private void note(Seq<String> name, Origin origin, String other) {
    if (origin.startIndex().isEmpty()) {
      return;
    }
    int place = (Integer) origin.startIndex().get();
    Matcher matcher = NAME.matcher(text).region(place, text.length());
    if (matcher.lookingAt() && parts(matcher.group()).equals(CollectionConverters.asJava(name))) {
      found.put(place, other);
    }
  }

  private static List<String> parts(String name) {
    return PART.matcher(name)
        .results()
        .map(part -> part.group(1) == null ? part.group(2) : part.group(1).replace("``", "`"))
        .toList();
  }
}
