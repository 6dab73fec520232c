"""The base of every record: a frozen dataclass that becomes JSON, one line of text, or HTML."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Self

from mashumaro import DataClassDictMixin

from dbx_cd import html
from dbx_cd.errors import DbxCdError
from dbx_cd.non_finite import non_finite_name


@cache
def wheel_version() -> str:
    """The version of the installed wheel; "0" when dbx_cd runs from a bare source tree."""
    try:
        return version("dbx-cd")
    except PackageNotFoundError:
        return "0"


def strict(value: Any) -> Any:
    """The value with `NaN` and the infinities as text: Python would write tokens that no other reader of JSON takes."""
    if isinstance(value, float):
        return non_finite_name(value) or value
    if isinstance(value, dict):
        return {key: strict(inner) for key, inner in value.items()}
    return [strict(inner) for inner in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Record(DataClassDictMixin):
    """Something that happened, written once and never changed.

    `to_dict` adds the format and the version of the wheel that wrote the record. `from_dict` reads every format up
    to its own; fields it does not know are ignored, so that a record of the same format may grow. JSON has no NaN and
    no infinity (RFC 8259): `to_dict` gives their names, as which a field of type `float` reads them back.
    """

    FORMAT: ClassVar[int] = 1
    KIND: ClassVar[str] = ""

    @property
    def kind(self) -> str:
        """The kind of event this record is in the release log."""
        return self.KIND

    def __post_serialize__(self, d: dict[Any, Any]) -> dict[Any, Any]:
        return {"format": self.FORMAT, "wheel_version": wheel_version(), **strict(d)}

    @classmethod
    def __pre_deserialize__(cls, d: dict[Any, Any]) -> dict[Any, Any]:
        written = d.get("format", 1)
        if not isinstance(written, int) or written > cls.FORMAT:
            raise DbxCdError(
                f"a {cls.__name__} of format {written!r} cannot be read: this wheel reads formats up to {cls.FORMAT}",
                next_step=f"install dbx-cd {d.get('wheel_version', 'of a newer version')} or later",
            )
        return cls.upgrade(d, written)

    @classmethod
    def upgrade(cls, d: dict[Any, Any], written: int) -> dict[Any, Any]:  # noqa: ARG003
        """Bring a dictionary of an older format to this one; a class that changes its format overrides this."""
        return d

    def to_html(self) -> str:
        """A small page part: by default every field in a two-column table."""
        shown = {k: v for k, v in self.to_dict().items() if k not in ("format", "wheel_version")}
        return str(html.section(str(self), html.table(("field", "value"), list(shown.items()))))

    def _repr_html_(self) -> str:
        return self.to_html()

    @classmethod
    def read(cls, d: dict[str, Any]) -> Self:
        """`from_dict`, with a damaged record reported as such.

        Raises:
            DbxCdError: a field is missing or of another type.
        """
        try:
            return cls.from_dict(d)
        except (LookupError, ValueError, TypeError) as exc:
            inner: BaseException | None = exc
            while inner is not None and not isinstance(inner, DbxCdError):
                inner = inner.__cause__ or inner.__context__
            # A record inside this one that says itself why it cannot be read, such as a newer format.
            raise inner or DbxCdError(f"not a valid {cls.__name__} record: {exc}") from exc
