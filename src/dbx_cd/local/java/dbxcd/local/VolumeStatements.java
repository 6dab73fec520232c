package dbxcd.local;

import dbxcd.local.Contents.StoredVolume;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.sql.SparkSession;

/**
 * What the emulation of the statements about volumes calls from Python, like {@link Statements}. What they need is
 * declared there.
 */
public final class VolumeStatements {
  private static final String KIND = "VOLUME";

  private VolumeStatements() {}

  /** CREATE VOLUME; does nothing where there is one and {@code ifNotExists}. */
  public static void create(SparkSession session, List<String> name, String comment, boolean ifNotExists) {
    SparkSession.setActiveSession(session);
    List<String> qualified = Statements.qualify(session, name);
    requirePlain(qualified);
    Registry registry = Registry.of(session);
    String database = PhysicalNames.database(qualified.get(0), qualified.get(1));
    if (!registry.hasDatabase(database)) {
      String schema = String.join("`.`", qualified.subList(0, 2));
      throw Denials.error(
          "SCHEMA_NOT_FOUND",
          "The schema `" + schema + "` cannot be found. Verify the spelling and correctness of the schema and catalog.",
          "42704");
    }
    StoredVolume volume =
        new StoredVolume(
            qualified.get(0),
            qualified.get(1),
            qualified.get(2),
            comment,
            System.currentTimeMillis(),
            SessionUser.active());
    if (registry.volumes().create(volume)) {
      Rights.created(session, KIND, qualified);
    } else if (!ifNotExists) {
      String volumeName = String.join("`.`", qualified);
      throw Denials.error(
          "VOLUME_ALREADY_EXISTS", "Cannot create volume `" + volumeName + "` because it already exists.", "42000");
    }
  }

  /** DROP VOLUME, with its files. */
  public static void drop(SparkSession session, List<String> name, boolean ifExists) {
    SparkSession.setActiveSession(session);
    List<String> qualified = Statements.qualify(session, name);
    if (exists(session, qualified)) {
      Registry.of(session).volumes().drop(qualified);
      Rights.dropped(session, KIND, qualified);
    } else if (!ifExists) {
      throw missing(qualified);
    }
  }

  /** COMMENT ON VOLUME. */
  public static void comment(SparkSession session, List<String> name, String comment) {
    SparkSession.setActiveSession(session);
    List<String> qualified = Statements.qualify(session, name);
    Registry registry = Registry.of(session);
    registry.volumes().find(qualified).orElseThrow(() -> missing(qualified));
    registry.volumes().comment(qualified, comment);
  }

  /** The names of the volumes of a schema, which is given by one or two parts, or is the session's own. */
  public static List<String> names(SparkSession session, List<String> schema) {
    SparkSession.setActiveSession(session);
    List<String> qualified = schema(session, schema);
    SeenObjects seen = SeenObjects.of(session);
    return Registry.of(session).volumes().of(qualified.get(0), qualified.get(1)).stream()
        .filter(volume -> seen.sees(SecurableNames.volume(volume)))
        .map(StoredVolume::name)
        .sorted()
        .toList();
  }

  /** Catalog and schema of a name of up to two parts. */
  public static List<String> schema(SparkSession session, List<String> schema) {
    boolean own = schema.isEmpty();
    List<String> named = own ? List.of("any") : append(schema, "any");
    return Statements.qualify(session, named).subList(0, 2);
  }

  /** The row of DESCRIBE VOLUME: name, catalog, schema, owner, type, comment. */
  public static List<String> describe(SparkSession session, List<String> name) {
    SparkSession.setActiveSession(session);
    List<String> qualified = Statements.qualify(session, name);
    StoredVolume v =
        Registry.of(session).volumes().find(qualified).orElseThrow(() -> missing(qualified));
    String owner = SeenObjects.of(session).owner(SecurableNames.volume(v));
    return Arrays.asList(v.name(), v.catalog(), v.schema(), owner, "MANAGED", v.comment());
  }

  /** Whether there is a volume; all three parts are given. */
  public static boolean exists(SparkSession session, List<String> name) {
    return Registry.of(session).volumes().find(Statements.qualify(session, name)).isPresent();
  }

  private static List<String> append(List<String> parts, String last) {
    List<String> all = new ArrayList<>(parts);
    all.add(last);
    return all;
  }

  /** The names are folders here, and parts of a path there. */
  private static void requirePlain(List<String> name) {
    if (name.size() != 3 || name.stream().anyMatch(part -> part.isBlank() || part.matches("\\.{1,2}|.*[/\\\\\\x00].*"))) {
      throw Denials.error(
          "INVALID_PARAMETER_VALUE", "`" + String.join("`.`", name) + "` cannot be the name of a volume.", "22023");
    }
  }

  static RuntimeException missing(List<String> name) {
    return Denials.error(
        "VOLUME_DOES_NOT_EXIST",
        "Volume " + String.join(".", name) + " does not exist. Please use 'SHOW VOLUMES' to list available volumes.",
        "42704");
  }
}
