package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Key;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.Contents.Tag;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.apache.spark.sql.SparkSession;

/** The rows of information_schema about tags and keys, of the relations that the session's user sees. */
final class TagAndKeyRows {
  private final Registry registry;
  private final List<String> catalogs;
  private final SeenObjects seen;
  private final Consumer<Object[]> rows;

  TagAndKeyRows(Registry registry, List<String> catalogs, Consumer<Object[]> rows) {
    this.registry = registry;
    this.catalogs = catalogs;
    this.seen = SeenObjects.of(SparkSession.active());
    this.rows = rows;
  }

  void add(String relation) {
    switch (relation) {
      case "table_tags" -> tags(false);
      case "column_tags" -> tags(true);
      default -> keys(relation);
    }
  }

  private void write(Object... row) {
    rows.accept(row);
  }

  /** The schema of a relation that the user sees; empty for others. */
  private Optional<Namespace> namespaceOf(Address address) {
    return registry
        .namespace(address.database())
        .filter(n -> catalogs.contains(n.catalog()) && seen.seesRelation(address));
  }

  private void tags(boolean ofColumns) {
    for (Tag tag : registry.tags().all()) {
      Namespace n = namespaceOf(tag.address()).orElse(null);
      if (n == null || (tag.column() != null) != ofColumns) {
        continue;
      }
      String table = tag.address().name();
      if (ofColumns) {
        write(n.catalog(), n.schema(), table, tag.column(), tag.name(), tag.value());
      } else {
        write(n.catalog(), n.schema(), table, tag.name(), tag.value());
      }
    }
  }

  private void keys(String relation) {
    for (Key key : registry.keys().all()) {
      Namespace n = namespaceOf(key.address()).orElse(null);
      if (n == null) {
        continue;
      }
      String[] in = {n.catalog(), n.schema(), key.name()};
      String table = key.address().name();
      switch (relation) {
        case "table_constraints" ->
            write(
                in[0], in[1], in[2], in[0], in[1], table,
                key.isPrimary() ? "PRIMARY KEY" : "FOREIGN KEY", "NO");
        case "key_column_usage" -> {
          for (int i = 0; i < key.columns().size(); i++) {
            write(in[0], in[1], in[2], in[0], in[1], table, key.columns().get(i), i + 1);
          }
        }
        default ->
            parentKey(key)
                .ifPresent(
                    parent ->
                        write(
                            in[0], in[1], in[2],
                            key.references().catalog(), key.references().schema(),
                            parent.name()));
      }
    }
  }

  /** The primary key that a foreign key points to. */
  private Optional<Key> parentKey(Key key) {
    if (key.isPrimary()) {
      return Optional.empty();
    }
    return registry.keys().primary(key.references().address());
  }
}
