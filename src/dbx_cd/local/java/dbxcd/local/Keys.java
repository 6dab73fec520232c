package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Key;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** Primary and foreign keys; open-source Spark and Delta have no place for them. */
final class Keys {
  private final Registry registry;
  private final List<Key> keys = new ArrayList<>();

  /** The registry is what is locked while keys are read or changed, and what saves them. */
  Keys(Registry registry) {
    this.registry = registry;
  }

  List<Key> all() {
    synchronized (registry) {
      return List.copyOf(keys);
    }
  }

  List<Key> of(Address address) {
    synchronized (registry) {
      return keys.stream().filter(key -> key.address().equals(address)).toList();
    }
  }

  void restore(List<Key> stored) {
    keys.addAll(stored);
  }

  void add(Key key) {
    synchronized (registry) {
      keys.add(key);
      registry.save();
    }
  }

  /** Removes the keys of the table that match; false when there was none. */
  boolean drop(Address address, Predicate<Key> which) {
    synchronized (registry) {
      boolean dropped = keys.removeIf(key -> key.address().equals(address) && which.test(key));
      if (dropped) {
        registry.save();
      }
      return dropped;
    }
  }

  /** Without saving: part of a change of the registry. */
  void forget(Predicate<Address> dropped) {
    keys.removeIf(key -> dropped.test(key.address()));
  }

  /** Without saving: part of a change of the registry. */
  void move(Address from, Address to) {
    keys.replaceAll(key -> key.address().equals(from) ? key.at(to) : key);
  }
}
