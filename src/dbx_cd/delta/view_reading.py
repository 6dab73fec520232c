"""What a view's text is read by besides itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class ViewReading:
    """How a view's query is read: what the platform keeps with the text; what it does not say is None."""

    namespace: tuple[str, ...] | None = None
    """Catalog and schema in which names of one or two parts mean relations."""
    schema_mode: str | None = None
    """What becomes of the view when what it reads changes: COMPENSATION, EVOLUTION, BINDING or TYPE EVOLUTION."""
    collation: str | None = None
    """The default collation."""
    settings: Mapping[str, str] | None = None
    """The SQL settings that change what a query means, such as ANSI mode and time zone, as they were when it was made:
    Spark reads the view under them, whatever those of the reader's session are (measured)."""

    def like(self, recorded: ViewReading) -> ViewReading:
        """A reading to compare with a recorded one: what only one of both tells is taken as recorded."""
        told_by_both = {
            part.name: getattr(self, part.name)
            for part in fields(self)
            if getattr(self, part.name) is not None and getattr(recorded, part.name) is not None
        }
        return replace(recorded, **told_by_both)


UNKNOWN_READING = ViewReading()
"""Nothing is known of how a view is read: then it is read as the session that makes it does."""
