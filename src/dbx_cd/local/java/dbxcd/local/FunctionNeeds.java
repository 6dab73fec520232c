package dbxcd.local;

import dbxcd.local.rights.Need;
import dbxcd.local.rights.Privilege;
import dbxcd.local.rights.Securable;
import java.util.List;
import java.util.Optional;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import org.apache.spark.sql.catalyst.plans.logical.Command;
import org.apache.spark.sql.execution.command.CreateFunctionCommand;
import org.apache.spark.sql.execution.command.CreateSQLFunctionCommand;
import org.apache.spark.sql.execution.command.DropFunctionCommand;

/** What it takes to make, replace and drop functions; temporary ones are a session's own. */
final class FunctionNeeds {
  private final PlanObjects objects;

  FunctionNeeds(PlanObjects objects) {
    this.objects = objects;
  }

  /** Empty for a command about anything else. */
  Optional<List<Need>> of(Command command) {
    if (command instanceof CreateSQLFunctionCommand create) {
      return Optional.of(create.isTemp() ? List.of() : made(create.name(), create.replace()));
    }
    if (command instanceof CreateFunctionCommand create) {
      return Optional.of(create.isTemp() ? List.of() : made(create.identifier(), create.replace()));
    }
    if (command instanceof DropFunctionCommand drop) {
      FunctionIdentifier name = drop.identifier();
      return Optional.of(
          objects.exists(name) ? List.of(Need.of(Privilege.MANAGE, objects.function(name))) : List.of());
    }
    return Optional.empty();
  }

  private List<Need> made(FunctionIdentifier name, boolean isReplaced) {
    Securable function = objects.function(name);
    Need create = Need.of(Privilege.CREATE_FUNCTION, Securable.schema(function.name().get(0), function.name().get(1)));
    return isReplaced && objects.exists(name)
        ? List.of(create, Need.of(Privilege.MANAGE, function))
        : List.of(create);
  }
}
