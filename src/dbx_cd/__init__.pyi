# The public API: one line a module. `dbx_cd/__init__.py` reads this file, so that each name is written once.
from .approval import (
    ApprovalRequest as ApprovalRequest,
)
from .approval import (
    Decision as Decision,
)
from .approval import (
    approve as approve,
)
from .approval import (
    pending_approvals as pending_approvals,
)
from .approval import (
    reject as reject,
)
from .approval import (
    request_approval as request_approval,
)
from .approval import (
    require_approval as require_approval,
)
from .artifact_store import ArtifactStore as ArtifactStore
from .artifact_store import PruneResult as PruneResult
from .artifact_version import ArtifactVersion as ArtifactVersion
from .build import BuildResult as BuildResult
from .build import build_release as build_release
from .config import CdConfig as CdConfig
from .context import Cd as Cd
from .context import open_cd as open_cd
from .dbt_artifacts import ArtifactDiff as ArtifactDiff
from .dbt_artifacts import Manifest as Manifest
from .dbt_invocation import DbtOutcome as DbtOutcome
from .dbt_invocation import DbtRun as DbtRun
from .dbt_invocation import run_dbt as run_dbt
from .docs import DocsSite as DocsSite
from .docs import publish_docs as publish_docs
from .errors import (
    ApprovalExpired as ApprovalExpired,
)
from .errors import (
    ApprovalNotAllowed as ApprovalNotAllowed,
)
from .errors import (
    ApprovalPending as ApprovalPending,
)
from .errors import (
    ApprovalRejected as ApprovalRejected,
)
from .errors import (
    ApprovalRequired as ApprovalRequired,
)
from .errors import (
    ApprovalStale as ApprovalStale,
)
from .errors import (
    ApprovalSuperseded as ApprovalSuperseded,
)
from .errors import (
    ArtifactError as ArtifactError,
)
from .errors import (
    ArtifactNotFound as ArtifactNotFound,
)
from .errors import (
    ChecksumMismatch as ChecksumMismatch,
)
from .errors import (
    ConfigError as ConfigError,
)
from .errors import (
    DbtFailed as DbtFailed,
)
from .errors import (
    DbxCdError as DbxCdError,
)
from .errors import (
    ReleaseError as ReleaseError,
)
from .errors import (
    ReleaseSuperseded as ReleaseSuperseded,
)
from .errors import (
    RestoreFailed as RestoreFailed,
)
from .errors import (
    RestoreRefused as RestoreRefused,
)
from .errors import (
    SetupError as SetupError,
)
from .errors import (
    SmokeFailed as SmokeFailed,
)
from .errors import (
    SuiteError as SuiteError,
)
from .errors import (
    WorkflowError as WorkflowError,
)
from .errors import (
    WrongCommit as WrongCommit,
)
from .notebook import Task as Task
from .notebook import start_task as start_task
from .relations import RelationName as RelationName
from .release_events import Release as Release
from .release_log import ReleaseHistory as ReleaseHistory
from .release_log import ReleaseLog as ReleaseLog
from .restore import RestoreResult as RestoreResult
from .restore import restore as restore
from .restore_plan import RestorePlan as RestorePlan
from .restore_plan import plan_restore as plan_restore
from .restore_point import RestorePoint as RestorePoint
from .restore_point import capture_restore_point as capture_restore_point
from .smoke import load_suites as load_suites
from .smoke import run_smoke as run_smoke
from .smoke_baseline import NoBaseline as NoBaseline
from .smoke_baseline import baseline_for as baseline_for
from .smoke_contracts import contracts_from_manifest as contracts_from_manifest
from .smoke_report import SmokeReport as SmokeReport
from .smoke_suite import SmokeSuite as SmokeSuite
from .workflow import ReleaseRun as ReleaseRun
from .workflow import resume as resume
from .workflow import trigger as trigger
