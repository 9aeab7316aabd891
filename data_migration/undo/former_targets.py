"""What foreign keys refer to that a rollback puts back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from ..ledger import Link
from ..ledger.images import Image, former_values
from ..utils.chunks import query_chunks
from .refusals import Refusal
from .rollback_plan import Undo
from .selection import Part


class FormerTargets:
    """The values that foreign keys get back, each with one of the objects that refer to it."""

    def __init__(self, *, database: str) -> None:
        self._database = database
        self._values: dict[Any, dict[Any, tuple[Part, Link]]] = defaultdict(dict)

    def add(self, part: Part, link: Link, image: Image) -> None:
        """Note what the object of the link gets back from its image."""
        for name, value in former_values(part.model, image.values).items():
            field = part.model._meta.get_field(name)
            if value is not None and getattr(field, "db_constraint", False):
                self._values[field].setdefault(value, (part, link))

    def missing(self, undos: Collection[Undo]) -> Iterator[Refusal]:
        """Refuse to refer to what is gone and does not come back: the database could say less."""
        for field, values in self._values.items():
            model = field.related_model
            targets = model._base_manager.using(self._database)
            back = {
                pk for undo in undos if issubclass(undo.part.model, model) for pk in undo.recreated
            }
            for chunk in query_chunks(values.keys() - back, self._database):
                name = field.target_field.attname
                found = targets.filter(**{f"{name}__in": chunk}).values_list(name, flat=True)
                for value in sorted({*chunk} - {*found}):
                    part, link = values[value]
                    why = f"its former {field.name} is gone: {model._meta.label} {value}"
                    yield Refusal.of(part, link, why, is_final=True)
