package dbxcd.local;

import dbxcd.local.Contents.Address;
import org.apache.spark.sql.catalyst.catalog.AlterDatabaseEvent;
import org.apache.spark.sql.catalyst.catalog.AlterTableEvent;
import org.apache.spark.sql.catalyst.catalog.CreateDatabaseEvent;
import org.apache.spark.sql.catalyst.catalog.CreateTableEvent;
import org.apache.spark.sql.catalyst.catalog.DropDatabaseEvent;
import org.apache.spark.sql.catalyst.catalog.DropTableEvent;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalogEvent;
import org.apache.spark.sql.catalyst.catalog.ExternalCatalogEventListener;
import org.apache.spark.sql.catalyst.catalog.FunctionEvent;
import org.apache.spark.sql.catalyst.catalog.RenameTableEvent;

/** Tells the registry what Spark's catalog did, whoever made it do so. */
final class CatalogEvents implements ExternalCatalogEventListener {
  private final Registry registry;

  CatalogEvents(Registry registry) {
    this.registry = registry;
  }

  @Override
  public void onEvent(ExternalCatalogEvent event) {
    synchronized (registry) {
      if (record(event)) {
        registry.save();
      }
    }
  }

  /** False where the event changes nothing. */
  private boolean record(ExternalCatalogEvent event) {
    RightsState rights = registry.rights();
    if (event instanceof CreateDatabaseEvent e) {
      registry.recordDatabase(e.database());
      rights.createdSchema(SecurableNames.schema(registry, e.database()));
    } else if (event instanceof AlterDatabaseEvent e) {
      registry.recordDatabase(e.database());
    } else if (event instanceof DropDatabaseEvent e) {
      rights.ledger().dropped(SecurableNames.schema(registry, e.database()));
      registry.databaseDropped(e.database());
    } else if (event instanceof CreateTableEvent e) {
      Address made = new Address(e.database(), e.name());
      registry.recordTable(made);
      if (!registry.unfinished().isMoving(made)) { // it stays whose it was
        rights.ledger().created(SecurableNames.table(registry, made), SessionUser.active());
      }
    } else if (event instanceof AlterTableEvent e) {
      registry.recordTable(new Address(e.database(), e.name()));
    } else if (event instanceof DropTableEvent e) {
      Address gone = new Address(e.database(), e.name());
      registry.forget(gone::equals);
      rights.ledger().dropped(SecurableNames.table(registry, gone));
    } else if (event instanceof RenameTableEvent e) {
      registry.tableRenamed(new Address(e.database(), e.name()), new Address(e.database(), e.newName()));
    } else if (event instanceof FunctionEvent e) {
      registry.functionChanged(e.database(), e.name());
      rights.functionChanged(SecurableNames.function(registry, e.database(), e.name()), e);
    } else {
      return false;
    }
    return true;
  }
}
