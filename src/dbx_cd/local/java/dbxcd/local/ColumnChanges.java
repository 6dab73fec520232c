package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Key;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Predicate;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.TableChange;

/** What follows for tags and keys when a table has other columns. */
final class ColumnChanges {
  private ColumnChanges() {}

  /** The columns of a table were changed: its keys and tags follow. */
  static void follow(Registry registry, Address address, List<TableChange> changes) {
    synchronized (registry) {
      Set<String> dropped = new HashSet<>();
      for (TableChange change : changes) {
        if (change instanceof TableChange.RenameColumn rename && rename.fieldNames().length == 1) {
          registry.tags().renameColumn(address, rename.fieldNames()[0], rename.newName());
          registry.keys().renameColumn(address, rename.fieldNames()[0], rename.newName());
        } else if (change instanceof TableChange.DeleteColumn delete
            && delete.fieldNames().length == 1) {
          dropped.add(delete.fieldNames()[0].toLowerCase(Locale.ROOT));
        } else if (change instanceof TableChange.AddColumn add && add.fieldNames().length == 1) {
          dropped.remove(add.fieldNames()[0].toLowerCase(Locale.ROOT)); // REPLACE COLUMNS keeps it
        }
      }
      Predicate<String> gone = column -> dropped.contains(column.toLowerCase(Locale.ROOT));
      registry.tags().dropColumns(address, gone);
      registry.keys().dropColumns(address, gone);
      registry.save();
    }
  }

  /** A table was defined anew, with these columns and keys. */
  static void replaced(Registry registry, Address address, Column[] columns, List<Key> accepted) {
    synchronized (registry) {
      Set<String> names = new HashSet<>();
      for (Column column : columns) {
        names.add(column.name().toLowerCase(Locale.ROOT));
      }
      registry.tags().dropColumns(address, column -> !names.contains(column.toLowerCase(Locale.ROOT)));
      registry.keys().replace(address, accepted);
    }
  }
}
