# The public API, module by module. `dbx_cd/__init__.py` reads this file, so that each name is written once.

from .approval.alteration import (
    acknowledge_alteration as acknowledge_alteration,
)
from .approval.ask import (
    request_approval as request_approval,
)
from .approval.decision import (
    approve as approve,
    pending_approvals as pending_approvals,
    reject as reject,
    require_approval as require_approval,
)
from .approval.request import (
    ApprovalRequest as ApprovalRequest,
    Decision as Decision,
)
from .artifacts.pruning import (
    PruneResult as PruneResult,
)
from .artifacts.store import (
    ArtifactStore as ArtifactStore,
)
from .artifacts.version import (
    ArtifactVersion as ArtifactVersion,
)
from .config import (
    CdConfig as CdConfig,
)
from .dbt.artifacts import (
    Manifest as Manifest,
)
from .dbt.diff import (
    ArtifactDiff as ArtifactDiff,
)
from .dbt.invocation import (
    run_dbt as run_dbt,
)
from .dbt.run import (
    DbtRun as DbtRun,
)
from .dbt.runner import (
    DbtOutcome as DbtOutcome,
)
from .dbt.selection import (
    Selection as Selection,
)
from .deploy.after_restore import (
    smoke_after_restore as smoke_after_restore,
)
from .deploy.auto_rollback import (
    NotRolledBack as NotRolledBack,
    auto_rollback as auto_rollback,
)
from .deploy.build import (
    build_release as build_release,
)
from .deploy.build_result import (
    BuildResult as BuildResult,
)
from .deploy.docs import (
    DocsSite as DocsSite,
    publish_docs as publish_docs,
)
from .deploy.retention import (
    prune_artifacts as prune_artifacts,
)
from .deploy.sources import (
    freshness_for as freshness_for,
)
from .errors import (
    ApprovalExpired as ApprovalExpired,
    ApprovalNotAllowed as ApprovalNotAllowed,
    ApprovalPending as ApprovalPending,
    ApprovalRejected as ApprovalRejected,
    ApprovalRequired as ApprovalRequired,
    ApprovalStale as ApprovalStale,
    ApprovalSuperseded as ApprovalSuperseded,
    ArtifactError as ArtifactError,
    ArtifactNotFound as ArtifactNotFound,
    CheckFailed as CheckFailed,
    ChecksumMismatch as ChecksumMismatch,
    ConfigError as ConfigError,
    ConsentMissing as ConsentMissing,
    DbtFailed as DbtFailed,
    DbxCdError as DbxCdError,
    DeployRefused as DeployRefused,
    ReleaseError as ReleaseError,
    ReleaseSuperseded as ReleaseSuperseded,
    RestoreFailed as RestoreFailed,
    RestoreRefused as RestoreRefused,
    SetupError as SetupError,
    SmokeFailed as SmokeFailed,
    SqlFailed as SqlFailed,
    SuiteError as SuiteError,
    Verdict as Verdict,
    WorkflowError as WorkflowError,
    WrongCommit as WrongCommit,
)
from .notebook import (
    Task as Task,
    start_task as start_task,
)
from .plan.baseline import (
    baseline_for as baseline_for,
)
from .plan.deploy_plan import (
    DeployPlan as DeployPlan,
)
from .plan.planning import (
    plan_deploy as plan_deploy,
)
from .plan.rollback_readiness import (
    RollbackReadiness as RollbackReadiness,
    rollback_readiness as rollback_readiness,
)
from .relations import (
    RelationName as RelationName,
)
from .release.alteration import (
    AlterationAcknowledged as AlterationAcknowledged,
    Alterations as Alterations,
)
from .release.context import (
    Cd as Cd,
    open_cd as open_cd,
)
from .release.events import (
    Release as Release,
)
from .release.history import (
    ReleaseHistory as ReleaseHistory,
)
from .release.log import (
    ReleaseLog as ReleaseLog,
)
from .release.workflow import (
    ReleaseRun as ReleaseRun,
    resume as resume,
    trigger as trigger,
)
from .rollback.capture import (
    capture_restore_point as capture_restore_point,
)
from .rollback.plan import (
    RestorePlan as RestorePlan,
    plan_restore as plan_restore,
)
from .rollback.point import (
    RestorePoint as RestorePoint,
)
from .rollback.progress import (
    RestoreProgress as RestoreProgress,
)
from .rollback.readiness import (
    extend_retention as extend_retention,
)
from .rollback.rehearsal import (
    Rehearsal as Rehearsal,
    rehearse as rehearse,
)
from .rollback.restore import (
    RestoreResult as RestoreResult,
    restore as restore,
)
from .setup.check.report import (
    CheckReport as CheckReport,
)
from .setup.checks import (
    check_setup as check_setup,
)
from .smoke.baseline import (
    NoBaseline as NoBaseline,
)
from .smoke.compare import (
    ModelComparison as ModelComparison,
    compare_model as compare_model,
)
from .smoke.contracts import (
    contracts_from_manifest as contracts_from_manifest,
)
from .smoke.report import (
    SmokeReport as SmokeReport,
    past_reports as past_reports,
)
from .smoke.run import (
    load_suites as load_suites,
    run_smoke as run_smoke,
)
from .smoke.suite import (
    SmokeSuite as SmokeSuite,
)
