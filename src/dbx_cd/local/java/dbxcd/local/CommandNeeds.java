package dbxcd.local;

import dbxcd.local.CommandTargets.Rule;
import dbxcd.local.rights.Need;
import dbxcd.local.rights.Privilege;
import dbxcd.local.rights.Securable;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.catalyst.analysis.PersistedView$;
import org.apache.spark.sql.catalyst.plans.logical.AlterViewAs;
import org.apache.spark.sql.catalyst.plans.logical.Command;
import org.apache.spark.sql.catalyst.plans.logical.CreateNamespace;
import org.apache.spark.sql.catalyst.plans.logical.CreateTableLike;
import org.apache.spark.sql.catalyst.plans.logical.CreateView;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.RenameTable;
import org.apache.spark.sql.catalyst.plans.logical.ReplaceTable;
import org.apache.spark.sql.catalyst.plans.logical.ReplaceTableAsSelect;
import org.apache.spark.sql.catalyst.plans.logical.SetNamespaceLocation;
import org.apache.spark.sql.catalyst.plans.logical.SetTableLocation;
import org.apache.spark.sql.catalyst.plans.logical.TableSpecBase;
import org.apache.spark.sql.catalyst.plans.logical.V2CreateTablePlan;
import org.apache.spark.sql.catalyst.plans.logical.V2WriteCommand;
import org.apache.spark.sql.connector.catalog.StagedTable;
import org.apache.spark.sql.connector.catalog.SupportsNamespaces;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.delta.commands.AlterDeltaTableCommand;
import org.apache.spark.sql.delta.commands.CloneTableCommand;
import org.apache.spark.sql.delta.commands.CreateDeltaTableCommand;
import org.apache.spark.sql.delta.commands.DeleteCommand;
import org.apache.spark.sql.delta.commands.DeltaInsertReplaceOnOrUsingCommand;
import org.apache.spark.sql.delta.commands.MergeIntoCommand;
import org.apache.spark.sql.delta.commands.RestoreTableCommand;
import org.apache.spark.sql.delta.commands.UpdateCommand;
import org.apache.spark.sql.execution.command.CreateViewCommand;
import org.apache.spark.sql.execution.datasources.InsertIntoDataSourceCommand;
import org.apache.spark.sql.execution.datasources.InsertIntoHadoopFsRelationCommand;
import org.apache.spark.sql.execution.datasources.SaveIntoDataSourceCommand;
import org.apache.spark.sql.execution.datasources.v2.DataSourceV2Relation;
import scala.Option;
import scala.jdk.javaapi.CollectionConverters;

/**
 * What a statement needs on what it creates, changes or drops (documentation, "Unity Catalog privileges reference" and
 * the page of each statement). Whoever replaces a table must manage it: "User is not an owner of Table" is what the
 * platform says to others, as its users report.
 */
final class CommandNeeds {
  private final PlanObjects objects;
  private final FunctionNeeds functions;

  CommandNeeds(PlanObjects objects) {
    this.objects = objects;
    this.functions = new FunctionNeeds(objects);
  }

  /** What has to be there for a command itself; empty for a command that nobody has said anything of. */
  Optional<List<Need>> of(Command command) {
    return schemas(command)
        .or(() -> created(command))
        .or(() -> written(command))
        .or(() -> functions.of(command))
        .or(() -> CommandTargets.rule(command).map(rule -> onTarget(rule, command)));
  }

  private List<Need> onTarget(Rule rule, Command command) {
    if (rule == Rule.NOTHING) {
      return List.of();
    }
    if (command instanceof SetTableLocation set) {
      return placed(onNamed(rule, command), Option.apply(set.location()), set.table());
    }
    if (command instanceof SetNamespaceLocation set) {
      return placed(onNamed(rule, command), Option.apply(set.location()), set.namespace());
    }
    return onNamed(rule, command);
  }

  private List<Need> onNamed(Rule rule, Command command) {
    return objects.target(CommandTargets.named(command)).stream().filter(this::isThere).map(rule::on).toList();
  }

  /** A statement about what is not there says so itself. */
  private boolean isThere(Securable target) {
    return switch (target.kind()) {
      case SCHEMA -> objects.existsSchema(target);
      case TABLE -> objects.exists(target);
      default -> true;
    };
  }

  /** The queries whose rows a command reads. */
  List<LogicalPlan> queries(Command command) {
    if (command instanceof V2WriteCommand write) {
      return List.of(write.query());
    }
    if (command instanceof MergeIntoCommand merge) {
      return List.of(merge.source(), merge.target());
    }
    if (command instanceof CreateTableLike like) {
      return List.of(like.source());
    }
    LogicalPlan plan = (LogicalPlan) command;
    return Stream.concat(
            CollectionConverters.asJava(plan.children()).stream(),
            CollectionConverters.asJava(plan.innerChildren()).stream())
        .filter(LogicalPlan.class::isInstance)
        .map(LogicalPlan.class::cast)
        .filter(LogicalPlan::resolved) // what EXPLAIN and the like hold is analysed when they run
        .toList();
  }

  private Optional<List<Need>> schemas(Command command) {
    if (!(command instanceof CreateNamespace create)) {
      return Optional.empty();
    }
    Securable schema = objects.target(create.name()).get(0);
    Need toCreate = Need.of(Privilege.CREATE_SCHEMA, Securable.catalog(schema.name().get(0)));
    Option<String> folder = create.properties().get(SupportsNamespaces.PROP_LOCATION);
    return Optional.of(placed(List.of(toCreate), folder, schema));
  }

  // ---------------------------------------------------------------- tables and views that are made

  private Optional<List<Need>> created(Command command) {
    if (command instanceof ReplaceTable || command instanceof ReplaceTableAsSelect) {
      return Optional.of(made((V2CreateTablePlan) command, true));
    }
    if (command instanceof V2CreateTablePlan create) {
      return Optional.of(made(create, false));
    }
    if (command instanceof CreateTableLike like) {
      return Optional.of(placed(made(like.name(), false), like.location(), like.name()));
    }
    if (command instanceof CreateView create) {
      return Optional.of(viewMade(create.child(), create.replace()));
    }
    if (command instanceof CreateViewCommand create) {
      return Optional.of(create.viewType() == PersistedView$.MODULE$ ? viewMade(create.name(), create.replace()) : List.of());
    }
    if (command instanceof CreateDeltaTableCommand create) {
      return Optional.of(made(create.table(), create.existingTableOpt().isDefined()));
    }
    if (command instanceof CloneTableCommand clone) {
      return Optional.of(cloned(clone));
    }
    if (command instanceof RenameTable rename) {
      return Optional.of(renamed(rename));
    }
    if (command instanceof AlterViewAs alter) {
      return Optional.of(objects.target(alter.child()).stream().map(Need::ownership).toList());
    }
    return Optional.empty();
  }

  /** A view is replaced by its owner alone. */
  private List<Need> viewMade(Object name, boolean isReplaced) {
    Stream<Need> ofOwner =
        objects.target(name).stream().filter(view -> isReplaced && objects.exists(view)).map(Need::ownership);
    return Stream.concat(made(name, false).stream(), ofOwner).toList();
  }

  private List<Need> cloned(CloneTableCommand clone) {
    List<Need> needs = new ArrayList<>(made(clone.targetIdent(), true));
    objects.target(clone.sourceTable().dataPath()).forEach(on -> needs.add(Need.of(Privilege.SELECT, on)));
    return needs;
  }

  private List<Need> made(V2CreateTablePlan create, boolean isReplaced) {
    List<Need> needs = made(create.name(), isReplaced);
    var parts = ((LogicalPlan) create).productIterator();
    while (parts.hasNext()) {
      if (parts.next() instanceof TableSpecBase spec) {
        needs = placed(needs, spec.location(), create.name());
        needs = placed(needs, spec.properties().get(TableCatalog.PROP_LOCATION), create.name());
      }
    }
    return needs;
  }

  /**
   * Besides what it takes to make something, what it takes to make it in a folder that is said: whoever has another
   * table's files as his own reads and changes them (the platform refuses it to everybody, as LOCATION_OVERLAP).
   */
  private List<Need> placed(List<Need> needs, Option<String> folder, Object made) {
    List<Securable> own = made instanceof Securable securable ? List.of(securable) : objects.target(made);
    Stream<Securable> others = objects.at(folder.getOrElse(() -> null)).stream().filter(at -> !own.contains(at));
    return Stream.concat(needs.stream(), others.map(on -> Need.of(Privilege.MANAGE, on))).toList();
  }

  private List<Need> made(Object name, boolean isReplaced) {
    Securable made = objects.target(name).stream().findFirst().orElse(null);
    if (made == null) {
      return List.of();
    }
    Need create = Need.of(Privilege.CREATE_TABLE, schemaOf(made));
    return isReplaced && objects.exists(made)
        ? List.of(create, Need.of(Privilege.MANAGE, made))
        : List.of(create);
  }

  private List<Need> renamed(RenameTable rename) {
    Securable table = objects.target(rename.child()).stream().findFirst().orElse(null);
    if (table == null) {
      return List.of();
    }
    List<String> to = CollectionConverters.asJava(rename.newName());
    List<Need> needs = new ArrayList<>(List.of(Need.of(Privilege.MANAGE, table)));
    if (to.size() > 1 && !to.get(to.size() - 2).equalsIgnoreCase(table.name().get(1))) {
      needs.add(Need.of(Privilege.CREATE_TABLE, Securable.schema(table.name().get(0), to.get(to.size() - 2))));
    }
    return needs;
  }

  private static Securable schemaOf(Securable relation) {
    return Securable.schema(relation.name().get(0), relation.name().get(1));
  }

  // ---------------------------------------------------------------- tables that are written

  private Optional<List<Need>> written(Command command) {
    if (command instanceof V2WriteCommand write) {
      return Optional.of(
          isStaged(write) ? List.of() : objects.target(write.table()).stream().map(CommandNeeds::modify).toList());
    }
    return Optional.ofNullable(changed(command))
        .map(table -> objects.target(table).stream().map(CommandNeeds::modify).toList());
  }

  /** Whether it fills a table that is being made or replaced, which was checked as that. */
  private static boolean isStaged(V2WriteCommand write) {
    return write.table() instanceof DataSourceV2Relation relation && relation.table() instanceof StagedTable;
  }

  private static Need modify(Securable table) {
    return Need.of(Privilege.MODIFY, table);
  }

  /** The table whose rows or definition a command changes; null for every other command. */
  private static Object changed(Command command) {
    if (command instanceof DeleteCommand delete) {
      return delete.target();
    }
    if (command instanceof UpdateCommand update) {
      return update.target();
    }
    if (command instanceof MergeIntoCommand merge) {
      return merge.target();
    }
    if (command instanceof AlterDeltaTableCommand alter) {
      return alter.table();
    }
    if (command instanceof RestoreTableCommand restore) {
      return restore.sourceTable();
    }
    if (command instanceof DeltaInsertReplaceOnOrUsingCommand insert) {
      return insert.deltaTable();
    }
    if (command instanceof InsertIntoDataSourceCommand insert) {
      return insert.logicalRelation();
    }
    if (command instanceof InsertIntoHadoopFsRelationCommand insert) {
      return insert.catalogTable().isDefined() ? insert.catalogTable().get() : insert.outputPath();
    }
    if (command instanceof SaveIntoDataSourceCommand save) {
      Option<String> path = save.options().get("path");
      return path.isDefined() ? new Path(path.get()) : save;
    }
    return null;
  }
}
