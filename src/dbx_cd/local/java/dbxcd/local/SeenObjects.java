package dbxcd.local;

import dbxcd.local.Contents.Address;
import dbxcd.local.Contents.Namespace;
import dbxcd.local.rights.Securable;
import java.util.HashMap;
import java.util.Map;
import org.apache.spark.sql.SparkSession;

/**
 * What the user of a session is told of: information_schema and the statements that list objects leave out the rest. A
 * session without a user is the workspace's own, and is told of everything. For one statement: it remembers.
 */
final class SeenObjects {
  /** Whom what nobody else owns is shown to belong to: the workspace itself. */
  static final String WORKSPACE = "local";

  /** No relation has such a name. */
  private static final String NOBODYS = "\0";

  private final Registry registry;
  private final String user;
  private final Map<String, Boolean> whole = new HashMap<>();

  private SeenObjects(Registry registry, String user) {
    this.registry = registry;
    this.user = user;
  }

  static SeenObjects of(SparkSession session) {
    return new SeenObjects(Registry.of(session), SessionUser.of(session));
  }

  boolean sees(Securable securable) {
    return user == null || registry.rights().judge().sees(user, securable);
  }

  boolean seesCatalog(String catalog) {
    return user == null || sees(Securable.catalog(catalog));
  }

  boolean seesSchema(Namespace schema) {
    return user == null || sees(Securable.schema(schema.catalog(), schema.schema()));
  }

  /** A table or view, by its address in the session catalog. */
  boolean seesRelation(Address address) {
    return user == null
        || whole.computeIfAbsent(address.database(), this::seesAllIn)
        || sees(SecurableNames.table(registry, address));
  }

  /** Whoever sees what nobody owns and nothing was granted on sees all relations of the schema. */
  private boolean seesAllIn(String database) {
    return sees(SecurableNames.table(registry, new Address(database, NOBODYS)));
  }

  /** Whether what only an owner is shown of an object is shown. */
  boolean owns(Securable securable) {
    return user == null || registry.rights().judge().owns(user, securable);
  }

  /** Whether everything that was granted on an object is shown; MANAGE is documented not to do for that. */
  boolean seesAllGrants(Securable on) {
    return owns(on) || registry.rights().judge().isAdmin(user);
  }

  /** Whether a principal is the user or a group of his. */
  boolean is(String principal) {
    return user == null || registry.rights().principals().is(user, principal);
  }

  /** Who owns an object, as it is shown everywhere. */
  String owner(Securable of) {
    String owner = registry.rights().ledger().ownerOf(of);
    return owner == null ? WORKSPACE : owner;
  }
}
