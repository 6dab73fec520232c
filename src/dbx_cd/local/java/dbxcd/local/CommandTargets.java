package dbxcd.local;

import dbxcd.local.rights.Need;
import dbxcd.local.rights.Privilege;
import dbxcd.local.rights.Securable;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.spark.sql.catalyst.plans.logical.Command;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.delta.commands.DeltaReorgTableCommand;
import org.apache.spark.sql.delta.commands.DescribeDeltaHistoryCommand;

/**
 * The commands that need one right on the one object that they name, and those that need none. A command is known here
 * by the name of its class, because a dozen of Delta's are out of a compiler's reach; that each is there is tested.
 */
final class CommandTargets {
  private CommandTargets() {}

  /** What a command needs on the object that it names. */
  enum Rule {
    /** To change its rows or its definition. */
    MODIFY,
    /** To drop it. */
    MANAGE,
    /** To change what only its owner may (documentation, "ALTER TABLE"). */
    OWN,
    /** To read its rows. */
    SELECT,
    /** To be told of it: any privilege will do (documentation, "DESCRIBE TABLE"). */
    SIGHT,
    /** To use it as the current schema. */
    USE,
    /** Nothing: it lists what the user sees, or concerns the user's own session. */
    NOTHING;

    Need on(Securable target) {
      return switch (this) {
        case MODIFY -> Need.of(Privilege.MODIFY, target);
        case MANAGE -> Need.of(Privilege.MANAGE, target);
        case OWN -> Need.ownership(target);
        case SELECT -> Need.of(Privilege.SELECT, target);
        case SIGHT -> Need.sight(target);
        case USE ->
            Need.of(target.name().size() == 1 ? Privilege.USE_CATALOG : Privilege.USE_SCHEMA, target);
        case NOTHING -> throw new IllegalArgumentException("NOTHING is needed on " + target);
      };
    }
  }

  private static final Map<Rule, List<String>> COMMANDS =
      Map.of(
          Rule.MODIFY,
          List.of(
              "AddColumns", "AddPartitions", "AlterColumns", "AlterColumnSyncIdentity", "AnalyzeColumn",
              "AnalyzeTable", "CommentOnTable", "DeltaGenerateCommand", "DeltaReorgTableCommand", "DropColumns",
              "DropPartitions", "OptimizeTableCommand", "RecoverPartitions", "RenameColumn", "RenamePartitions",
              "RepairTable", "ReplaceColumns", "SetTableProperties", "TruncateDeltaTableCommand", "TruncatePartition",
              "TruncateTable", "UnsetTableProperties", "VacuumTableCommand"),
          Rule.OWN,
          List.of(
              "AddCheckConstraint", "AddConstraint", "AlterTableAddConstraint", "AlterTableClusterBy",
              "AlterTableCollation", "AlterTableDropConstraint", "AlterTableDropFeature", "DropConstraint",
              "SetTableLocation"),
          Rule.MANAGE,
          List.of(
              "AlterViewSchemaBinding", "CommentOnNamespace", "DropNamespace", "DropTable", "DropView",
              "SetNamespaceCollationCommand", "SetNamespaceLocation", "SetNamespaceProperties", "SetViewProperties",
              "UnsetNamespacePropertiesCommand", "UnsetViewProperties"),
          Rule.SELECT,
          List.of("ShowDeltaPartitionsCommand", "ShowPartitions"),
          Rule.SIGHT,
          List.of(
              "DescribeColumn", "DescribeDeltaDetailCommand", "DescribeDeltaHistoryCommand", "DescribeNamespace",
              "DescribeRelation", "DescribeTablePartition", "RefreshTable", "ShowColumns", "ShowCreateTable",
              "ShowDeltaTableColumnsCommand", "ShowTableProperties"),
          Rule.USE,
          List.of("SetCatalogAndNamespace"),
          Rule.NOTHING,
          List.of(
              "AddArchivesCommand", "AddFilesCommand", "AddJarsCommand", "CacheTable", "CacheTableAsSelect",
              "ClearCacheCommand", "CloseCursor", "CreateTempViewUsing", "CreateVariable", "DeclareCursor",
              "DescribeFunction", "DescribeFunctionCommand", "DescribeQueryCommand", "DropTempViewCommand",
              "DropVariable", "ExplainCommand", "FetchCursor", "InsertIntoDataSourceDirCommand",
              "ListArchivesCommand", "ListFilesCommand", "ListJarsCommand", "NoopCommand", "OpenCursor",
              "RefreshFunctionCommand", "RefreshResource", "ResetCommand", "SetCatalogCommand", "SetCommand",
              "SetNamespaceCommand", "SetVariable", "ShowCatalogsCommand", "ShowCollationsCommand",
              "ShowCurrentNamespaceCommand", "ShowFunctions", "ShowFunctionsCommand", "ShowNamespacesCommand",
              "ShowTables", "ShowTablesExtended", "ShowViews", "StreamingExplainCommand", "UncacheTable"));

  private static final Map<String, Rule> RULES = new HashMap<>();

  static {
    COMMANDS.forEach((rule, names) -> names.forEach(name -> RULES.put(name, rule)));
  }

  /** What a command needs; empty for one that is not in the table. */
  static Optional<Rule> rule(Command command) {
    return Optional.ofNullable(RULES.get(command.getClass().getSimpleName().replace("$", "")));
  }

  /** The part of a command that names its object. */
  static Object named(Command command) {
    if (command instanceof DescribeDeltaHistoryCommand describe) {
      return describe.table();
    }
    if (command instanceof DeltaReorgTableCommand reorg) {
      return reorg.target();
    }
    var children = ((LogicalPlan) command).children();
    return children.isEmpty() ? null : children.head();
  }
}
