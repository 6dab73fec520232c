"""The config `grants`, and that SHOW GRANTS says afterwards what was granted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dbt.tests.adapter.grants.base_grants import TEST_USER_ENV_VARS
from dbt.tests.adapter.grants.test_incremental_grants import BaseIncrementalGrants
from dbt.tests.adapter.grants.test_invalid_grants import BaseInvalidGrants
from dbt.tests.adapter.grants.test_model_grants import BaseModelGrants
from dbt.tests.adapter.grants.test_seed_grants import BaseSeedGrants
from dbt.tests.adapter.grants.test_snapshot_grants import BaseSnapshotGrants

from dbx_cd.local.workspace import DEVELOPER, OWNER, RELEASE_BOT

pytestmark = pytest.mark.deep


@pytest.fixture(scope="module", autouse=True)
def users() -> Iterator[None]:
    """Three identities of the workspace, under the names by which dbt's tests look for them."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, name in zip(TEST_USER_ENV_VARS, (OWNER, DEVELOPER, RELEASE_BOT), strict=True):
            patch.setenv(variable, name)
        yield


class TestModelGrants(BaseModelGrants):
    def privilege_grantee_name_overrides(self) -> dict[str, str]:
        return {**super().privilege_grantee_name_overrides(), "insert": "modify"}


class TestIncrementalGrants(BaseIncrementalGrants):
    pass


class TestSeedGrants(BaseSeedGrants):
    def seeds_support_partial_refresh(self) -> bool:
        return True  # it is replaced each time, and what was granted on it stays, as on Unity Catalog


class TestSnapshotGrants(BaseSnapshotGrants):
    pass


class TestInvalidGrants(BaseInvalidGrants):
    def grantee_does_not_exist_error(self) -> str:
        return "PRINCIPAL_DOES_NOT_EXIST"

    def privilege_does_not_exist_error(self) -> str:
        return "INVALID_PARAMETER_VALUE"
