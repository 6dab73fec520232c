"""Consent to what a deploy loses: by name, by whoever decides, and a part of the decision."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from dbx_cd.approval.request import ApprovalRequest, Decision
from dbx_cd.errors import ConsentMissing


def agreed_losses(request: ApprovalRequest, consent: Collection[str]) -> tuple[str, ...]:
    """The losses that a person agrees to, as the request names them.

    Args:
        request: what is asked.
        consent: the names that the person gives; blanks around them do not count.

    Raises:
        ConsentMissing: a loss is not among them, or a name is none of the losses.
    """
    # The letters of a text would be names of nothing.
    names = [name.strip() for name in ((consent,) if isinstance(consent, str) else consent)]
    given = [name for name in names if name]
    unknown = [name for name in given if name not in request.consent]
    if unknown:
        near = difflib.get_close_matches(unknown[0], request.consent, n=1)
        raise ConsentMissing(
            f"{unknown[0]!r} is no loss that consent is asked for",
            where=request.release,
            next_step=f"did you mean {near[0]!r}?" if near else _names(request),
        )
    _refuse_missing(request, given)
    return tuple(name for name in request.consent if name in given)


def require_consent(request: ApprovalRequest, decision: Decision) -> None:
    """Make sure that a decision agrees to every loss that its request asks consent for.

    Raises:
        ConsentMissing: it does not.
    """
    _refuse_missing(request, decision.consent)


def _refuse_missing(request: ApprovalRequest, given: Collection[str]) -> None:
    missing = [name for name in request.consent if name not in given]
    if missing:
        raise ConsentMissing(
            f"{request.target} would lose what nobody has agreed to: {'; '.join(missing)}",
            where=request.release,
            next_step=f"{_names(request)}, if that is meant; or reject the release",
        )


def _names(request: ApprovalRequest) -> str:
    return (
        f"give as consent exactly: {', '.join(request.consent)}"
        if request.consent
        else "give no consent: none is asked"
    )
