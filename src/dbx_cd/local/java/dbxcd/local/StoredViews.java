package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.StoredView;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import org.apache.spark.sql.connector.catalog.View;

/** The views; Spark's in-memory catalog has no place for those with three-level names in them. */
final class StoredViews {
  private final Registry registry;
  private final Map<Address, StoredView> views = new LinkedHashMap<>();

  /** The registry is what is locked while views are read or changed, and what saves them. */
  StoredViews(Registry registry) {
    this.registry = registry;
  }

  List<StoredView> all() {
    synchronized (registry) {
      return List.copyOf(views.values());
    }
  }

  void restore(List<StoredView> stored) {
    stored.forEach(view -> views.put(view.address(), view));
  }

  Optional<View> view(Address address) {
    return stored(address).map(Conversions::toSpark);
  }

  Optional<StoredView> stored(Address address) {
    synchronized (registry) {
      return Optional.ofNullable(views.get(address));
    }
  }

  List<String> names(String database) {
    synchronized (registry) {
      return views.keySet().stream()
          .filter(address -> address.database().equals(database))
          .map(Address::name)
          .sorted()
          .toList();
    }
  }

  /** False when there is such a view already. */
  boolean create(Address address, View view) {
    synchronized (registry) {
      if (views.containsKey(address)) {
        return false;
      }
      long now = System.currentTimeMillis();
      views.put(address, Conversions.toRecord(address, view, now, now));
      registry.rights().ledger().created(SecurableNames.table(registry, address), SessionUser.active());
      registry.save();
      return true;
    }
  }

  /** False when there is no such view. */
  boolean replace(Address address, View view) {
    synchronized (registry) {
      StoredView old = views.get(address);
      if (old == null) {
        return false;
      }
      long now = System.currentTimeMillis();
      views.put(address, Conversions.toRecord(address, view, old.created(), now));
      Set<String> names = new HashSet<>();
      for (String column : view.schema().fieldNames()) {
        names.add(column.toLowerCase(Locale.ROOT));
      }
      registry.tags().dropColumns(address, column -> !names.contains(column.toLowerCase(Locale.ROOT)));
      registry.save();
      return true;
    }
  }

  /** False when there is no such view. */
  boolean drop(Address address) {
    synchronized (registry) {
      if (!views.containsKey(address)) {
        return false;
      }
      registry.forget(address::equals);
      registry.rights().ledger().dropped(SecurableNames.table(registry, address));
      registry.save();
      return true;
    }
  }

  /** False when there is no such view. */
  boolean rename(Address from, Address to) {
    synchronized (registry) {
      StoredView old = views.remove(from);
      if (old == null) {
        return false;
      }
      View view = Conversions.toSpark(old);
      views.put(to, Conversions.toRecord(to, view, old.created(), System.currentTimeMillis()));
      registry.follow(from, to);
      return true;
    }
  }

  /** Without saving: part of a change of the registry. */
  void forget(Predicate<Address> dropped) {
    views.keySet().removeIf(dropped);
  }
}
