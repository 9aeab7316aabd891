"""Where in a plan of Django's ``migrate`` each patch runs: before, after, or between two of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .definition import Definition
from .options import BEFORE
from .patch import SchemaName
from .schema import Schema


@dataclass(frozen=True, slots=True)
class Stages:
    """``places`` says of a patch how much of the plan is applied before it runs.

    ``length`` is that of the plan. ``waiting`` are patches that it leaves blocked, ``late`` those
    that have no time to run if all of the plan is applied; of both a sentence says why. No patch
    is in more than one of the three. ``urgent`` are those with a place that the end of the plan
    would be too late for.
    """

    length: int
    places: Mapping[str, int] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    late: Mapping[str, str] = field(default_factory=dict)
    urgent: frozenset[str] = frozenset()

    def at(self, place: int) -> list[str]:
        """The labels of what runs there, in order."""
        return [label for label, each in self.places.items() if each == place]

    @property
    def between(self) -> list[str]:
        """What runs neither before the plan nor after it."""
        return [label for label, each in self.places.items() if 0 < each < self.length]

    @property
    def next_stop(self) -> int:
        """How much of the plan can be applied until a patch has to run; all of it without one."""
        return min((each for each in self.places.values() if each), default=self.length)


def stages(
    definitions: Iterable[Definition],
    schema: Schema,
    plan: Sequence[SchemaName],
    *,
    run_in: Mapping[str, int] | None = None,
    required_in: Mapping[str, int] | None = None,
) -> Stages:
    """Place each patch behind all that it needs and in front of all that it has to precede.

    ``definitions`` are those that are not done yet, each behind what it depends on. ``plan`` are
    the schema migrations that are to be applied. ``run_in`` says which patches an operation in the
    plan runs, and in which of it: these get no place of their own. ``required_in`` are those that
    an operation of the plan waits for. Patches come where they cost no stop if they can: what has
    to be early before the plan, the rest behind it.
    """
    return _Placing(list(definitions), schema, plan, run_in or {}, required_in or {}).stages()


class _Placing:
    """``early`` and ``late`` are the least and the most that may be applied before a patch."""

    def __init__(
        self,
        definitions: list[Definition],
        schema: Schema,
        plan: Sequence[SchemaName],
        run_in: Mapping[str, int],
        required_in: Mapping[str, int],
    ) -> None:
        self._definitions = definitions
        self._schema = schema
        self._end = len(plan)
        self._run_in = run_in
        self._required_in = required_in
        self._index = {
            done: index
            for index, name in reversed(list(enumerate(plan)))
            for done in schema.done_by(name)
        }
        self._plan = plan
        self._early: dict[str, int] = {}
        self._late: dict[str, int] = {}
        self._waiting: dict[str, str] = {}
        self._gone: dict[str, str] = {}

    def stages(self) -> Stages:
        for each in self._definitions:
            self._early[each.label] = self._earliest(each)
        for each in reversed(self._definitions):
            self._late[each.label] = self._latest(each)
        for each in self._definitions:
            self._refuse_without_time(each)
        places = self._places()
        urgent = frozenset(label for label in places if self._late[label] < self._end)
        return Stages(self._end, places, self._waiting, self._gone, urgent)

    def _earliest(self, definition: Definition) -> int:
        """Behind its needs and its dependencies; notes it where the plan has no such place."""
        early = 0
        for needed in definition.patch.needs:
            if needed[0] in self._schema.unmigrated:
                continue
            meant = self._schema.meant_by(needed)
            left = [each for each in meant if not self._schema.is_applied(each)]
            if not meant or any(each not in self._index for each in left):
                self._waiting[definition.label] = (
                    f"It needs {'.'.join(needed)}, which is not applied and not in this plan."
                )
            early = max([early, *(self._index[each] + 1 for each in left if each in self._index)])
        for label in definition.depends_on:
            if label in self._waiting and definition.label not in self._waiting:
                self._waiting[definition.label] = f"It runs after {label}, which waits itself."
            if label in self._early:
                within = self._run_in.get(label)
                early = max(early, self._early[label] if within is None else within + 1)
        return early

    def _latest(self, definition: Definition) -> int:
        """In front of what it has to precede, and of what the patches behind it have to."""
        late = self._end
        for last in definition.patch.before:
            meant = self._schema.meant_by(last)
            late = min([late, *(self._index[each] for each in meant if each in self._index)])
        late = min(late, self._required_in.get(definition.label, late))
        for other in self._definitions:
            if definition.label in other.depends_on:
                late = min(late, self._run_in.get(other.label, self._late[other.label]))
        return late

    def _refuse_without_time(self, definition: Definition) -> None:
        label = definition.label
        early, late = self._early[label], self._late[label]
        if label in self._run_in:
            return
        if label in self._waiting:
            if late < self._end:
                self._gone[label] = f"{self._waiting.pop(label)} {self._has_to(late)}"
        elif early > late:
            needed = ".".join(self._plan[early - 1])
            self._gone[label] = f"It can run from {needed} on. {self._has_to(late)}"
        else:
            behind = [each for each in definition.depends_on if each in self._gone]
            if behind:
                self._gone[label] = f"It runs after {behind[0]}, which has no time to run."

    def _has_to(self, late: int) -> str:
        return f"It has to run before {'.'.join(self._plan[late])}, which is in this plan."

    def _places(self) -> dict[str, int]:
        free = [
            each
            for each in self._definitions
            if not {each.label} & (self._waiting.keys() | self._gone.keys() | self._run_in.keys())
        ]
        stops = self._stops(free)
        places: dict[str, int] = {}
        for each in free:
            label = each.label
            early, late = self._early[label], self._late[label]
            if early == 0 and (late < self._end or each.phase == BEFORE):
                place = 0
            elif late == self._end:
                place = self._end
            else:
                place = next(stop for stop in stops if stop >= early)
            # A dependency that would rather be late holds back what would rather be early.
            places[label] = max([place, *(places.get(other, 0) for other in each.depends_on)])
        return places

    def _stops(self, free: Iterable[Definition]) -> list[int]:
        """The fewest stops so that each patch that needs one has one between its bounds."""
        bounds = sorted(
            (self._late[each.label], self._early[each.label])
            for each in free
            if self._early[each.label] > 0 and self._late[each.label] < self._end
        )
        stops: list[int] = []
        for late, early in bounds:
            if not stops or early > stops[-1]:
                stops.append(late)
        return stops
