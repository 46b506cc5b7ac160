"""When a finding becomes an incident, and when that is over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from retrue.config.base import Settings
from retrue.times import parse_span

Kind = Literal["schema", "quality", "expectation", "drift", "performance", "system", "source", "window"]
Span = Annotated[tuple[datetime, datetime], BeforeValidator(parse_span)]


class OpenRule(Settings):
    """An incident opens when ``after`` of the last ``of`` windows that measured it have the finding; ``of`` is ``after`` by default.

    One window is enough where the finding's value is ``at_once`` times its threshold, or more; None for never.
    """

    after: int = Field(default=1, ge=1)
    of: int | None = Field(default=None, ge=1, le=100)
    at_once: float | None = Field(default=None, ge=1, allow_inf_nan=False)

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.after > self.last:
            raise ValueError(f"after {self.after} of {self.last} windows never comes")
        return self

    @property
    def last(self) -> int:
        """How many windows are looked at."""
        return self.after if self.of is None else self.of


class ResolveRule(Settings):
    """It is over after so many windows in a row that measured it and did not find it."""

    after: int = Field(default=1, ge=1, le=100)


class KindRule(Settings):
    """What is otherwise for one kind of finding."""

    open: OpenRule | None = None
    resolve: ResolveRule | None = None


BUILT_IN: Mapping[str, KindRule] = {
    "drift": KindRule(open=OpenRule(after=2, of=3, at_once=2), resolve=ResolveRule(after=2))
}
"""One window whose inputs moved a little is seldom a reason to act, and a score that hovers around its threshold would be resolved
and opened again with every window; what is far beyond it is told at once."""

_ANY_OTHER = ""  # no kind that has rules of its own


class AlarmSettings(Settings):
    """When findings open and resolve incidents, and which spans are known to have been healthy.

    ``kinds`` overrides single kinds of finding. Failure groups are none of them: they have a life of their own. What is None
    has not been set: a kind's built-in rule holds, and else the first window opens or resolves.
    """

    open: OpenRule | None = None
    resolve: ResolveRule | None = None
    kinds: Mapping[Kind, KindRule] = {}
    healthy: tuple[Span, ...] = ()

    def opening(self, kind: str) -> OpenRule:
        """Return the rule by which findings of a kind open an incident."""
        rules = (self._of(kind).open, self.open, BUILT_IN.get(kind, KindRule()).open)
        return next((each for each in rules if each is not None), OpenRule())

    def resolving(self, kind: str) -> ResolveRule:
        """Return the rule by which an incident of a kind is over."""
        rules = (self._of(kind).resolve, self.resolve, BUILT_IN.get(kind, KindRule()).resolve)
        return next((each for each in rules if each is not None), ResolveRule())

    @property
    def reach(self) -> int:
        """The most windows that any rule looks at before it opens an incident."""
        return max(self.opening(kind).last for kind in (_ANY_OTHER, *self.kinds, *BUILT_IN))

    def _of(self, kind: str) -> KindRule:
        return next((rule for name, rule in self.kinds.items() if name == kind), KindRule())
