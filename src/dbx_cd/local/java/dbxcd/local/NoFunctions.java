package dbxcd.local;

import org.apache.spark.sql.catalyst.analysis.NoSuchFunctionException;
import org.apache.spark.sql.connector.catalog.FunctionCatalog;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.functions.UnboundFunction;

/**
 * A catalog that has no functions, and says so: of one that cannot have any, Spark reports only that, and not which
 * function was called, and where.
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
