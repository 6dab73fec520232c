package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Move;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.Contents.Unfinished;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.fs.FileUtil;

/**
 * The folders of managed tables that are being made, written down before the first file. So the
 * next start knows, of all folders without a registered table, which ones are this workspace's own.
 * And the tables that are moving to another schema, which the next start finishes.
 */
final class UnfinishedTables {
  private final Registry registry;
  private final Map<Address, Being> being = new LinkedHashMap<>();
  private final List<Move> moves = new ArrayList<>();

  /** How many statements make the table at this moment. */
  private record Being(Unfinished table, int statements) {}

  UnfinishedTables(Registry registry) {
    this.registry = registry;
  }

  List<Unfinished> all() {
    return being.values().stream().map(Being::table).toList();
  }

  List<Move> moves() {
    return List.copyOf(moves);
  }

  /** A table begins to move; none of its files has. */
  void begin(Move move) {
    synchronized (registry) {
      moves.add(move);
      registry.save();
    }
  }

  /** Whether a table is moving to that name. */
  boolean isMoving(Address to) {
    synchronized (registry) {
      return moves.stream().anyMatch(move -> move.to().equals(to));
    }
  }

  /** It has moved, or is where it was. */
  void end(Move move) {
    synchronized (registry) {
      moves.remove(move);
      registry.save();
    }
  }

  /** A statement begins to make a table; nothing is written down for a folder that is there already. */
  void begin(Address address) {
    synchronized (registry) {
      Being already = being.get(address);
      if (already != null) {
        being.put(address, new Being(already.table(), already.statements() + 1));
        return;
      }
      Namespace namespace = registry.namespace(address.database()).orElse(null);
      if (namespace == null) {
        return;
      }
      String location = namespace.location().replaceAll("/+$", "") + "/" + escaped(address.name());
      if (!Files.exists(Recovery.localPath(location))) {
        being.put(address, new Being(new Unfinished(address, location), 1));
        registry.save();
      }
    }
  }

  private static String escaped(String name) {
    try {
      return new URI(null, null, name, null).getRawPath();
    } catch (java.net.URISyntaxException e) {
      throw new IllegalArgumentException(name, e);
    }
  }

  /** The table is registered, or the statement failed: what it left in a folder of its own is removed. */
  void end(Address address) {
    synchronized (registry) {
      Being now = being.get(address);
      if (now == null) {
        return;
      }
      if (now.statements() > 1) {
        being.put(address, new Being(now.table(), now.statements() - 1));
        return;
      }
      being.remove(address);
      if (registry.table(address).isEmpty()) { // else the table was saved, and this with it or after it
        removeUnlessCommitted(now.table());
        registry.save();
      }
    }
  }

  private void removeUnlessCommitted(Unfinished table) {
    Path folder = Recovery.localPath(table.location());
    try {
      if (!Recovery.isCommitted(folder)) {
        FileUtil.fullyDelete(folder.toFile());
      }
    } catch (IOException e) {
      // The folder cannot be read now; the next statement that makes this table says so.
    }
  }
}
