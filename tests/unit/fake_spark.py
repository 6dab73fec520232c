"""A Spark session for an SQL endpoint whose `rewrite` answers every statement itself."""

from __future__ import annotations


class NoConf:
    def set(self, name: str, value: str) -> None:
        raise KeyError(name)


class FakeContext:
    def setJobGroup(self, *args: object, **options: object) -> None:  # noqa: N802
        pass

    def cancelJobGroup(self, group: str) -> None:  # noqa: N802
        pass


class FakeSpark:
    """Enough of a session for a `rewrite` that answers everything itself."""

    version = "4"
    conf = NoConf()
    sparkContext = FakeContext()  # noqa: N815

    def newSession(self) -> FakeSpark:  # noqa: N802
        return FakeSpark()
