"""The links of every migration to an object: several may fill one model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..fields.primary_keys import pk_from_text, pk_to_text
from ..models import MigrationState, RowLink
from ..utils.chunks import query_chunks


class SharedLink(NamedTuple):
    """A link of any migration to the object ``pk``; ``key_hash`` in 32 hexadecimal digits."""

    state: MigrationState
    key_hash: str
    run: int
    key: str
    pk: Any


class SharedLinks:
    """Finds links by their objects. ``models`` are those that are written to, by label."""

    def __init__(self, models: Mapping[str, Any], *, database: str) -> None:
        self._models = models
        self._database = database
        self._states: dict[Any, dict[int, MigrationState]] = {}

    def to(
        self, model: Any, pks: Iterable[Any], *, without: Collection[int] = ()
    ) -> Iterator[SharedLink]:
        """The links to these objects of the concrete ``model``.

        ``without`` are the numbers of migrations that nobody asks for.
        """
        pk_of = pk_from_text(model)
        names = ("migration_id", "key_hash", "run", "key", "object_pk")
        for chunk in query_chunks(pks, self._database):
            if model not in self._states:
                labels = [label for label, each in self._models.items() if each is model]
                found = MigrationState.objects.using(self._database).filter(label__in=labels)
                self._states[model] = {state.pk: state for state in found}
            states = self._states[model]
            if not (asked := sorted(states.keys() - without)):
                return
            rows = RowLink.objects.using(self._database).filter(
                migration__in=asked, object_pk__in=list(map(pk_to_text(model), chunk))
            )
            for state, key_hash, run, key, text in rows.values_list(*names):
                yield SharedLink(states[state], key_hash.hex, run, key, pk_of(text))
