"""Who may do everything in the tests' embedded workspace, which most tests need; releases are told without it."""

from __future__ import annotations

from dbx_cd.config import CdConfig
from dbx_cd.local import rights
from dbx_cd.local.standard_grants import grant_everything, take_everything
from dbx_cd.local.workspace import RELEASE_BOT, EmbeddedWorkspace

PEOPLE = ("tester@example.org", "contract@example.org", "anna@example.org", "ben@example.org")
"""In whose name tests work that do not ask who may do what."""


def let_everybody(workspace: EmbeddedWorkspace) -> None:
    """Let the workspace's users do everything, and people what only an owner of the job's views may."""
    for person in PEOPLE:
        rights.put_user(workspace.spark, person, groups=(RELEASE_BOT,))
    for user in (*workspace.connection.tokens, *PEOPLE):
        grant_everything(workspace.spark, user, catalogs=workspace.catalogs)
    for owner in workspace.owners:
        rights.put_user(workspace.spark, owner, groups=(CdConfig.approvers, RELEASE_BOT))


def let_nobody(workspace: EmbeddedWorkspace) -> None:
    """Take that back; what else they were granted stays."""
    for user in (*workspace.connection.tokens, *PEOPLE):
        take_everything(workspace.spark, user, catalogs=workspace.catalogs)
    for owner in workspace.owners:
        rights.put_user(workspace.spark, owner, groups=(CdConfig.approvers,))
