"""The pull half of a mapping as a ``Migration``: its rows are the pages of a connector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Dict
from functools import partial
from typing import Any

from ..outcomes import Deleted, OnConflict, Removed
from ..plan.graph import PlanStep
from ..sources.feed import Feed
from ..sources.pages import Page, gathered
from ..sources.remote import PageFeed
from ..spec.columns import Column
from ..spec.migration import Migration
from ..spec.terms import Terms
from .connector import Connector
from .definition import Definition
from .discovery import Syncs
from .fields import RemoteField, fields_of, relation_column
from .flattening import CHANGED, DOCUMENT, KEY, Flattening, list_column
from .mapping import Mapping
from .nested import Finishing

_DELETED = {OnConflict.KEEP: Deleted.KEEP, OnConflict.OVERWRITE: Deleted.CREATE}
_NO_SETTLING: Dict[str, str] = {}


class Pull(Migration):
    """What every compiled mapping is; made by :func:`compiled`, never discovered."""

    allow_updates = True


def steps(
    connector: Connector | None,
    account: str,
    syncs: Syncs,
    settle: Dict[str, str] = _NO_SETTLING,
) -> list[PlanStep]:
    """The pulls of one account that are chosen, compiled, in the order in which they run.

    ``connector`` and ``settle`` as for :func:`compiled`.
    """
    chosen = [each for each in syncs.of(account) if each.pulls]
    return [
        PlanStep(
            each.label,
            compiled(each, connector, syncs, settle),
            needs=tuple(
                sorted(
                    other.label
                    for other in chosen
                    if other.mapping in each.mapping.depends_on and other is not each
                )
            ),
            sources=(sources := syncs.sources(each.mapping, account)),
            keyed=sources,
        )
        for each in chosen
    ]


def compiled(
    definition: Definition,
    connector: Connector | None,
    syncs: Syncs,
    settle: Dict[str, str] = _NO_SETTLING,
) -> type[Migration]:
    """The migration that a pull of the mapping is, named like its label.

    ``connector`` is None where nothing will be read, as for a rollback.
    ``settle`` says of fields in conflict whose value counts: ``"ours"`` or ``"theirs"``. Raises
    :exc:`SpecError` for a mapping that cannot be pulled.
    """
    mapping = definition.mapping
    fields = [field for field in fields_of(mapping) if field.pulls]
    policy = OnConflict(mapping.on_conflict)
    finishing = Finishing(definition, fields, syncs)
    flatten = Flattening(
        mapping,
        fields,
        with_changed=policy == OnConflict.NEWEST,
        with_document=finishing.wants_documents,
    )

    def feed(label: str, meanwhile: Callable[[], object]) -> Feed:
        assert connector is not None, "without a connector nothing is read"
        return PageFeed(
            label,
            columns=flatten.columns,
            key=KEY,
            pages=partial(_pages, mapping, connector, flatten.asked),
            one=partial(connector.get, mapping.objectname) if connector.can("get") else None,
            flatten=flatten,
            changed=mapping.changed,
            lag=mapping.changed_lag,
            meanwhile=meanwhile,
        )

    attributes = {
        "__module__": __name__,
        "__doc__": f"The pull of {definition.label}.",
        "model": mapping.model,
        "high_water": mapping.changed,
        "legacy_key": KEY,
        "column_description": dict(_described(mapping, fields, flatten.columns)),
        "on_conflict": str(policy),
        "removed": mapping.removed,
        "removed_limit": mapping.removed_limit,
        "deleted": str(_DELETED.get(policy, Deleted.REPORT)),
        "sensitive_columns": tuple(_sensitive(mapping, fields, flatten.columns)),
        "_feed": staticmethod(feed),
        "_terms": _terms(definition, fields, settle, finishing),
    }
    return type(definition.label, (Pull,), attributes)


def _terms(
    definition: Definition,
    fields: Sequence[RemoteField],
    settle: Dict[str, str],
    finishing: Finishing,
) -> Terms:
    mapping = definition.mapping
    is_newest = mapping.on_conflict == OnConflict.NEWEST
    here = mapping.changed_here if is_newest and mapping.changed else None
    by_remote = {field.remote: field.name for field in fields if field.name}
    return Terms(
        two_way=frozenset(field.name for field in fields if field.name and field.pushes),
        deletes=definition.pushes and mapping.deleted != Removed.KEEP,
        match=tuple(by_remote[remote] for remote in mapping.match if remote in by_remote),
        newest=(CHANGED, here) if here else None,
        settle=settle,
        finish=finishing if finishing else None,
        lists=tuple(each.name for each in finishing.lists if each.is_two_way),
    )


def _described(
    mapping: type[Mapping], fields: Sequence[RemoteField], columns: Sequence[str]
) -> Iterator[tuple[str, Column]]:
    """What the engine has to know of columns that are no plain values."""
    for field in fields:
        if field.related is not None:
            yield field.name, relation_column(mapping, field)
        elif field.nested is not None:
            yield list_column(field), Column(exclude=True)
    for name in (KEY, CHANGED, DOCUMENT):
        if name in columns:
            yield name, Column(exclude=True)


def _sensitive(
    mapping: type[Mapping], fields: Sequence[RemoteField], columns: Sequence[str]
) -> Iterator[str]:
    """The columns whose values no message shows; a row as a whole has such values in it."""
    hides_within = False
    for field in fields:
        nested = field.nested and field.nested.mapping.sensitive
        if field.remote in mapping.sensitive or nested:
            yield field.name or list_column(field)
        hides_within = hides_within or bool(nested)
    if DOCUMENT in columns and (mapping.sensitive or hides_within):
        yield DOCUMENT


def _pages(
    mapping: type[Mapping], connector: Connector, asked: Sequence[str], since: Any, size: int
) -> Iterator[Page]:
    names = [*asked, *([mapping.changed.split(".")[0]] if mapping.changed else ())]
    pages = connector.pages(
        mapping.objectname,
        since=since,
        fields=tuple(dict.fromkeys(names)),
        size=mapping.page_size,
    )
    return gathered(pages, size)
