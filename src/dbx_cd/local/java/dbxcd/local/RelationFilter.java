package dbxcd.local;

import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import org.apache.spark.sql.sources.And;
import org.apache.spark.sql.sources.EqualTo;
import org.apache.spark.sql.sources.Filter;
import org.apache.spark.sql.sources.In;
import org.apache.spark.sql.sources.Or;

/**
 * Decides from a query's conditions which relations it can concern, so that information_schema
 * opens those tables only. Spark applies the conditions again: saying yes is always right.
 */
final class RelationFilter {
  private final Filter[] filters;

  RelationFilter(Filter[] filters) {
    this.filters = filters;
  }

  /** Column name to value; columns that are not known yet are left out. */
  boolean admits(Map<String, String> known) {
    return Arrays.stream(filters).allMatch(filter -> maybe(filter, known));
  }

  private static boolean maybe(Filter filter, Map<String, String> known) {
    if (filter instanceof And and) {
      return maybe(and.left(), known) && maybe(and.right(), known);
    }
    if (filter instanceof Or or) {
      return maybe(or.left(), known) || maybe(or.right(), known);
    }
    if (filter instanceof EqualTo equal && known.containsKey(equal.attribute())) {
      return Objects.equals(known.get(equal.attribute()), equal.value());
    }
    if (filter instanceof In in && known.containsKey(in.attribute())) {
      return Arrays.asList(in.values()).contains(known.get(in.attribute()));
    }
    return true;
  }
}
