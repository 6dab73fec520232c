package dbxcd.local;

import org.apache.spark.sql.catalyst.analysis.NoSuchFunctionException;
import org.apache.spark.sql.connector.catalog.FunctionCatalog;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.functions.UnboundFunction;

/**
 * A catalog whose functions Spark does not find by itself: those that there are {@link FunctionNames} has found before.
 * Of a catalog that cannot have any, Spark reports only that, and not which function was named, and where.
 */
interface NoFunctions extends FunctionCatalog {
  @Override
  default Identifier[] listFunctions(String[] namespace) {
    return new Identifier[0];
  }

  @Override
  default UnboundFunction loadFunction(Identifier ident) throws NoSuchFunctionException {
    throw new NoSuchFunctionException(ident);
  }
}
