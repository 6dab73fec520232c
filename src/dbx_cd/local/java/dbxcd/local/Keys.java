package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Key;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.Contents.Reference;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;

/**
 * Primary and foreign keys; open-source Spark and Delta have no place for them. A foreign key goes
 * with the primary key that it refers to, as on Unity Catalog.
 */
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

  Optional<Key> primary(Address address) {
    return of(address).stream().filter(Key::isPrimary).findFirst();
  }

  /** The foreign keys, of this table or of others, that refer to this table. */
  List<Key> referringTo(Address parent) {
    synchronized (registry) {
      return keys.stream().filter(key -> refersTo(key, parent)).toList();
    }
  }

  private static boolean refersTo(Key key, Address parent) {
    return !key.isPrimary() && key.references().address().equals(parent);
  }

  void restore(List<Key> stored) {
    keys.addAll(stored);
  }

  /** Adds keys that {@link KeyRules} has accepted. */
  void add(List<Key> accepted) {
    synchronized (registry) {
      if (keys.addAll(accepted)) {
        registry.save();
      }
    }
  }

  /** The keys of a table that is defined anew; foreign keys to it stay if they still fit. */
  void replace(Address address, List<Key> accepted) {
    synchronized (registry) {
      keys.removeIf(key -> key.address().equals(address));
      keys.addAll(accepted);
      List<String> primary = primary(address).map(Key::columns).orElse(List.of());
      keys.removeIf(
          key ->
              refersTo(key, address)
                  && !lower(primary).equals(lower(key.references().columns())));
      registry.save();
    }
  }

  /**
   * Removes the keys of the table that match; false when there was none.
   *
   * @param cascade with a primary key its foreign keys go too; otherwise they prevent it.
   */
  boolean drop(Address address, Predicate<Key> which, boolean cascade) {
    synchronized (registry) {
      List<Key> going = of(address).stream().filter(which).toList();
      if (going.stream().anyMatch(Key::isPrimary)) {
        List<Key> dependents = referringTo(address);
        if (!cascade && !dependents.isEmpty()) {
          throw ErrorConditions.error(
              "INVALID_STATE.DEPENDENT_FOREIGN_KEY",
              "foreignKey", KeyRules.quoted(dependents.get(0).name()),
              "name", KeyRules.quoted(primary(address).orElseThrow().name()));
        }
        keys.removeAll(dependents);
      }
      keys.removeAll(going);
      if (!going.isEmpty()) {
        registry.save();
      }
      return !going.isEmpty();
    }
  }

  /** Without saving: part of a change of the registry. */
  void forget(Predicate<Address> dropped) {
    keys.removeIf(
        key ->
            dropped.test(key.address())
                || (!key.isPrimary() && dropped.test(key.references().address())));
  }

  /** Without saving: part of a change of the registry. */
  void move(Address from, Address to) {
    keys.replaceAll(key -> key.address().equals(from) ? key.at(to) : key);
    Namespace namespace = registry.namespace(to.database()).orElseThrow();
    keys.replaceAll(
        key ->
            refersTo(key, from)
                ? key.referringTo(
                    new Reference(
                        namespace.catalog(),
                        namespace.schema(),
                        to.name(),
                        key.references().columns()))
                : key);
  }

  /** Without saving: part of a change of the registry. */
  void renameColumn(Address address, String from, String to) {
    UnaryOperator<String> renamed = column -> column.equalsIgnoreCase(from) ? to : column;
    keys.replaceAll(
        key -> {
          Key own = key.address().equals(address) ? key.over(each(key.columns(), renamed)) : key;
          return refersTo(own, address) ? own.referringTo(renamed(own.references(), renamed)) : own;
        });
  }

  private static Reference renamed(Reference reference, UnaryOperator<String> renamed) {
    return new Reference(
        reference.catalog(),
        reference.schema(),
        reference.table(),
        each(reference.columns(), renamed));
  }

  private static List<String> lower(List<String> names) {
    return each(names, name -> name.toLowerCase(Locale.ROOT));
  }

  private static List<String> each(List<String> columns, UnaryOperator<String> renamed) {
    return columns.stream().map(renamed).toList();
  }

  /** Without saving: the keys over columns that are gone, and the foreign keys to them. */
  void dropColumns(Address address, Predicate<String> gone) {
    keys.removeIf(
        key ->
            (key.address().equals(address) && key.columns().stream().anyMatch(gone))
                || (refersTo(key, address) && key.references().columns().stream().anyMatch(gone)));
  }
}
