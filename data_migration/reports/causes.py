"""Messages of the same cause, counted together."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Max, Min, Q, QuerySet

from ..models import RowError
from ..outcomes import MessageKind

#: What makes two messages alike.
LIKE = ("migration_id", "kind", "column", "pattern")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """``rows`` messages of one migration, column and pattern; ``example`` is the last of them.

    ``cause`` is the wording they share, in which a gap stands for what differs. ``value`` is the
    value where all have the same one.
    """

    example: RowError
    rows: int
    waiting: int
    cause: str
    value: str

    @property
    def migration(self) -> str:
        return self.example.migration.label

    @property
    def is_varied(self) -> bool:
        """Whether the wording differs from row to row."""
        return self.cause != self.example.cause


def causes(messages: QuerySet[RowError], *, most: int = 20) -> list[Cause]:
    """The commonest causes first, at most so many; two queries."""
    is_open = Q(is_open=True, kind=MessageKind.FAILURE)
    groups = list(
        messages.order_by()
        .values(*LIKE)
        .annotate(
            rows=Count("pk"),
            waiting=Count("pk", filter=is_open),
            last=Max("pk"),
            lowest=Min("value"),
            highest=Max("value"),
            first_cause=Min("cause"),
            last_cause=Max("cause"),
        )
        .order_by("-rows", "-last")[:most]
    )
    examples = RowError.objects.using(messages.db).select_related("migration", "step")
    example_of = examples.in_bulk([group["last"] for group in groups])
    found = []
    for group in groups:
        if (example := example_of.get(group["last"])) is None:
            continue
        is_same = group["first_cause"] == group["last_cause"]
        found.append(
            Cause(
                example=example,
                rows=group["rows"],
                waiting=group["waiting"],
                cause=example.cause if is_same or not example.pattern else example.pattern,
                value=example.value if group["lowest"] == group["highest"] else "",
            )
        )
    return found


def like(messages: QuerySet[RowError], example: RowError) -> QuerySet[RowError]:
    """Those of ``messages`` that have the cause of ``example``."""
    return messages.filter(**{name: getattr(example, name) for name in LIKE})
