package dbxcd.local;

import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.UUID;
import java.util.regex.Pattern;

/**
 * The database in Spark's session catalog that stands for a schema of a catalog. Session databases
 * allow word characters only (SessionCatalog.validateName), Unity Catalog allows much more.
 */
final class PhysicalNames {
  private static final Pattern PLAIN = Pattern.compile("[a-z0-9]+(_[a-z0-9]+)*");

  private PhysicalNames() {}

  /** {@code catalog__schema}; for unusual names a readable part and a hash, never ambiguous. */
  static String database(String catalog, String schema) {
    String c = catalog.toLowerCase(Locale.ROOT);
    String s = schema.toLowerCase(Locale.ROOT);
    if (c.equals("spark_catalog")) {
      return s;
    }
    if (PLAIN.matcher(c).matches() && PLAIN.matcher(s).matches()) {
      return c + "__" + s;
    }
    UUID hash = UUID.nameUUIDFromBytes((c + "\0" + s).getBytes(StandardCharsets.UTF_8));
    return word(c) + "__" + word(s) + "___" + hash.toString().substring(0, 8);
  }

  private static String word(String name) {
    return name.replaceAll("[^a-z0-9]+", "_");
  }
}
