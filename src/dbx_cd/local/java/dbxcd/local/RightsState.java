package dbxcd.local;

import com.fasterxml.jackson.annotation.JsonProperty;
import dbxcd.local.Contents.Address;
import dbxcd.local.rights.Judge;
import dbxcd.local.rights.Ledger;
import dbxcd.local.rights.Principals;
import dbxcd.local.rights.Privilege;
import dbxcd.local.rights.Securable;
import dbxcd.local.rights.SecurableKind;
import java.util.List;
import org.apache.spark.sql.catalyst.catalog.CreateFunctionEvent;
import org.apache.spark.sql.catalyst.catalog.DropFunctionEvent;
import org.apache.spark.sql.catalyst.catalog.FunctionEvent;

/** The rights of one application: who owns what and what was granted, kept with the registry; and who there is. */
final class RightsState {
  /** The rights as the registry file holds them. */
  record Stored(
      @JsonProperty("owners") List<StoredOwner> owners, @JsonProperty("grants") List<StoredGrant> grants) {}

  record StoredOwner(
      @JsonProperty("kind") String kind,
      @JsonProperty("name") List<String> name,
      @JsonProperty("owner") String owner) {}

  record StoredGrant(
      @JsonProperty("kind") String kind,
      @JsonProperty("name") List<String> name,
      @JsonProperty("principal") String principal,
      @JsonProperty("privilege") String privilege,
      @JsonProperty("grantor") String grantor) {}

  private final Ledger ledger = new Ledger();
  private final Principals principals = new Principals();
  private final Judge judge = new Judge(ledger, principals);
  private final Runnable save;

  /** {@code save} writes the registry file. */
  RightsState(Runnable save) {
    this.save = save;
  }

  /** To be changed by {@link #change} alone, so that nothing is forgotten at a restart. */
  Ledger ledger() {
    return ledger;
  }

  Principals principals() {
    return principals;
  }

  Judge judge() {
    return judge;
  }

  void change(Runnable change) {
    change.run();
    save.run();
  }

  /** A catalog comes with its default schema, in whoever's session it is used first. */
  void createdSchema(Securable schema) {
    if (!schema.name().get(1).equals(LocalNamespaces.DEFAULT_SCHEMA)) {
      ledger.created(schema, SessionUser.active());
    }
  }

  /**
   * A function was created or dropped; the registry saves it. CREATE OR REPLACE does both for Spark: then owner and
   * privileges stay, as those of a table do. Which is so on the platform is not documented.
   */
  void functionChanged(Securable function, FunctionEvent event) {
    if (event instanceof CreateFunctionEvent) {
      ledger.created(function, SessionUser.active());
    } else if (event instanceof DropFunctionEvent
        && !OngoingWork.isOf("org.apache.spark.sql.execution.command.Create")) {
      ledger.dropped(function);
    }
  }

  /** A relation has another name now; the registry saves it. */
  void renamed(Registry registry, Address from, Address to) {
    ledger.renamed(SecurableNames.table(registry, from), SecurableNames.table(registry, to));
  }

  /** An older file has none. */
  void restore(Stored stored) {
    if (stored == null) {
      return;
    }
    ledger.restore(
        stored.owners().stream().map(o -> new Ledger.Owner(securable(o.kind(), o.name()), o.owner())).toList(),
        stored.grants().stream()
            .map(
                g ->
                    new Ledger.Grant(
                        g.principal(), Privilege.valueOf(g.privilege()), securable(g.kind(), g.name()), g.grantor()))
            .toList());
  }

  Stored stored() {
    return new Stored(
        ledger.owners().stream()
            .map(o -> new StoredOwner(o.of().kind().name(), o.of().name(), o.principal()))
            .toList(),
        ledger.grants().stream()
            .map(
                g ->
                    new StoredGrant(
                        g.on().kind().name(), g.on().name(), g.principal(), g.privilege().name(), g.grantor()))
            .toList());
  }

  private static Securable securable(String kind, List<String> name) {
    return new Securable(SecurableKind.valueOf(kind), name);
  }
}
