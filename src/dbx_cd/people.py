"""Names of people and identities, as different parts of the platform write them."""

from __future__ import annotations


def same_person(one: str | None, other: str | None) -> bool:
    """Whether two names are of the same user or identity.

    User names are e-mail addresses, which the platform takes in any case (SCIM, RFC 7643: `userName` is not
    case-sensitive).
    """
    return one is not None and other is not None and one.strip().casefold() == other.strip().casefold()
