package dbxcd.local;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.delta.DeltaOperations;
import org.apache.spark.sql.delta.OptimisticTransaction;
import org.apache.spark.sql.delta.actions.Action;
import org.apache.spark.sql.delta.actions.Metadata;
import org.apache.spark.sql.delta.catalog.DeltaTableV2;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import scala.Option;
import scala.jdk.javaapi.CollectionConverters;

/**
 * ALTER TABLE ... ALTER COLUMN ... SET NOT NULL, which neither Spark nor Delta lets through although
 * Delta's format has it and its writer enforces it: one commit that changes the schema, after a
 * look at the rows. Rows that others add meanwhile make that commit fail, as any change of a schema.
 */
final class NotNull {
  private NotNull() {}

  static void set(SparkSession session, List<String> name, DeltaTableV2 table, String column) {
    OptimisticTransaction transaction = table.startTransaction(Option.empty());
    Metadata metadata = transaction.metadata();
    StructField[] fields = metadata.schema().fields();
    int position =
        Arrays.stream(fields).map(StructField::name).map(field -> field.toLowerCase(Locale.ROOT)).toList()
            .indexOf(column.toLowerCase(Locale.ROOT));
    StructField old = fields[position];
    if (!old.nullable()) {
      return;
    }
    String qualified = String.join(".", name.stream().map(KeyRules::quoted).toList());
    long nulls =
        session
            .sql(
                "SELECT count(*) FROM " + qualified + " VERSION AS OF " + transaction.readVersion()
                    + " WHERE " + KeyRules.quoted(column) + " IS NULL")
            .first()
            .getLong(0);
    if (nulls > 0) {
      throw ErrorConditions.error(
          "DELTA_NEW_NOT_NULL_VIOLATION",
          "numRows", Long.toString(nulls),
          "tableName", qualified,
          "colName", column);
    }
    fields[position] = new StructField(old.name(), old.dataType(), false, old.metadata());
    transaction.readWholeTable();
    transaction.updateMetadata(
        metadata.copy(
            metadata.id(),
            metadata.name(),
            metadata.description(),
            metadata.format(),
            new StructType(fields).json(),
            metadata.partitionColumns(),
            metadata.configuration(),
            metadata.createdTime()),
        false);
    transaction.commit(
        CollectionConverters.asScala(List.<Action>of()).toSeq(),
        new DeltaOperations.ChangeColumn(
            CollectionConverters.asScala(List.<String>of()).toSeq(),
            old.name(),
            fields[position],
            Option.empty()));
  }
}
