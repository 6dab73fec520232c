package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Tag;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;

/** The tags of relations and of their columns; open-source Spark and Delta have no place for them. */
final class Tags {
  private final Registry registry;
  private final List<Tag> tags = new ArrayList<>();

  /** The registry is what is locked while tags are read or changed, and what saves them. */
  Tags(Registry registry) {
    this.registry = registry;
  }

  List<Tag> all() {
    synchronized (registry) {
      return List.copyOf(tags);
    }
  }

  void restore(List<Tag> stored) {
    tags.addAll(stored);
  }

  void set(Address address, String column, Map<String, String> values) {
    synchronized (registry) {
      values.forEach(
          (name, value) -> {
            remove(address, column, name);
            tags.add(new Tag(address, column, name, value));
          });
      registry.save();
    }
  }

  void unset(Address address, String column, List<String> names) {
    synchronized (registry) {
      names.forEach(name -> remove(address, column, name));
      registry.save();
    }
  }

  private void remove(Address address, String column, String name) {
    tags.removeIf(
        tag ->
            tag.address().equals(address)
                && Objects.equals(tag.column(), column)
                && tag.name().equals(name));
  }

  /** Without saving: part of a change of the registry. */
  void forget(Predicate<Address> dropped) {
    tags.removeIf(tag -> dropped.test(tag.address()));
  }

  /** Without saving: part of a change of the registry. */
  void move(Address from, Address to) {
    tags.replaceAll(
        tag ->
            tag.address().equals(from)
                ? new Tag(to, tag.column(), tag.name(), tag.value())
                : tag);
  }

  /** Without saving: part of a change of the registry. */
  void renameColumn(Address address, String from, String to) {
    tags.replaceAll(
        tag ->
            tag.address().equals(address) && from.equalsIgnoreCase(tag.column())
                ? new Tag(address, to, tag.name(), tag.value())
                : tag);
  }

  /** Without saving: part of a change of the registry. */
  void dropColumns(Address address, Predicate<String> gone) {
    tags.removeIf(
        tag ->
            tag.address().equals(address) && tag.column() != null && gone.test(tag.column()));
  }
}
