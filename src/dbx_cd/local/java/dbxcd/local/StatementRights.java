package dbxcd.local;

import dbxcd.local.rights.Judge;
import dbxcd.local.rights.Need;
import dbxcd.local.rights.Securable;
import java.util.List;
import org.apache.spark.sql.SparkSession;

/** What the emulated statements ask about rights before they run. */
public final class StatementRights {
  private StatementRights() {}

  /**
   * Refuses the session's user where a privilege is missing. On what is not there nothing is needed but the way to it:
   * the statement itself then says that it is not there.
   *
   * @param privilege what is needed; {@code OWNERSHIP} stands for being the owner.
   * @param seeing whether it is enough that the user is told of the object.
   */
  public static void require(
      SparkSession session, String privilege, String kind, List<String> name, boolean seeing) {
    String user = SessionUser.of(session);
    if (user == null) {
      return;
    }
    if (isPath(name)) {
      new PlanObjects(Registry.of(session))
          .at(name.get(1))
          .forEach(on -> Rights.require(session, user, need(privilege, on, seeing)));
      return;
    }
    Securable on = Rights.securable(session, kind, name);
    Need need = need(privilege, on, seeing);
    if (Rights.of(session).judge().missing(user, need).isEmpty()) {
      return;
    }
    for (Need step : Judge.usage(need).toList()) {
      if (!SecurableNames.exists(session, step.on())) {
        return;
      }
      Rights.require(session, user, step);
    }
    if (SecurableNames.exists(session, on)) {
      Rights.require(session, user, need);
    }
  }

  private static Need need(String privilege, Securable on, boolean seeing) {
    Need need = Rights.need(privilege, on);
    return seeing ? new Need(need.privilege(), on, true) : need;
  }

  /** Whether it is a table by its path: {@code delta.`/folder`}. */
  private static boolean isPath(List<String> name) {
    return name.size() == 2 && name.get(1).contains("/");
  }

  /** Those of the objects that the session's user is told of. */
  public static List<List<String>> seen(SparkSession session, String kind, List<List<String>> names) {
    String user = SessionUser.of(session);
    return names.stream().filter(name -> Rights.isSeen(session, user, kind, name)).toList();
  }

  /**
   * The tables whose foreign keys go with a table's primary key.
   *
   * @param key the name of the key that is dropped; null for the primary key.
   */
  public static List<List<String>> referringTables(SparkSession session, List<String> name, String key) {
    Registry registry = Registry.of(session);
    Contents.Address table = Statements.address(Statements.qualify(session, name));
    boolean isPrimary =
        registry.keys().primary(table).filter(primary -> key == null || primary.name().equalsIgnoreCase(key)).isPresent();
    if (!isPrimary) {
      return List.of();
    }
    return registry.keys().referringTo(table).stream()
        .map(foreign -> SecurableNames.table(registry, foreign.address()).name())
        .distinct()
        .toList();
  }
}
