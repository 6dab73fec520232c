package dbxcd.local.rights;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** An object that rights are granted on; its name has no parts for the metastore, one to three otherwise. */
public record Securable(SecurableKind kind, List<String> name) {
  public static final Securable METASTORE = new Securable(SecurableKind.METASTORE, List.of());

  /** Names are compared in lower case, as everywhere in Unity Catalog. */
  public Securable {
    if (name.size() != kind.parts) {
      throw new IllegalArgumentException(
          "The name of a " + kind.shown + " has " + kind.parts + " parts, not " + String.join(".", name));
    }
    name = name.stream().map(part -> part.toLowerCase(Locale.ROOT)).toList();
  }

  public static Securable catalog(String catalog) {
    return new Securable(SecurableKind.CATALOG, List.of(catalog));
  }

  public static Securable schema(String catalog, String schema) {
    return new Securable(SecurableKind.SCHEMA, List.of(catalog, schema));
  }

  public static Securable table(String catalog, String schema, String table) {
    return new Securable(SecurableKind.TABLE, List.of(catalog, schema, table));
  }

  /** What it lies in, nearest first; the metastore is not among them. */
  public List<Securable> ancestors() {
    List<Securable> ancestors = new ArrayList<>();
    if (name.size() == 3) {
      ancestors.add(schema(name.get(0), name.get(1)));
    }
    if (name.size() >= 2) {
      ancestors.add(catalog(name.get(0)));
    }
    return ancestors;
  }

  /** Whether it is that one or lies in it. */
  public boolean isWithin(Securable other) {
    return equals(other) || ancestors().contains(other);
  }

  /** {@code a.b.c}, as messages and SHOW GRANTS name it. */
  public String key() {
    return String.join(".", name);
  }

  @Override
  public String toString() {
    return name.isEmpty() ? kind.shown : kind.shown + " '" + key() + "'";
  }
}
