"""What foreign keys refer to that a rollback puts back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from ..ledger import Link
from ..ledger.images import Image, former_values
from ..utils.chunks import query_chunks
from .refusals import Refusal
from .selection import Part


class FormerTargets:
    """The values that foreign keys get back, each with one of the objects that refer to it."""

    def __init__(self, *, database: str) -> None:
        self._database = database
        self._values: dict[Any, dict[Any, tuple[Part, Link]]] = defaultdict(dict)
        #: Of objects that come back, by model, what others may refer to them by.
        self._coming: dict[Any, list[dict[str, Any]]] = defaultdict(list)

    def add(self, part: Part, link: Link, image: Image) -> None:
        """Note what the object of the link gets back from its image."""
        for name, value in former_values(part.model, image.values).items():
            field = part.model._meta.get_field(name)
            if value is not None and getattr(field, "db_constraint", False):
                self._values[field].setdefault(value, (part, link))

    def come_back(self, model: Any, image: Image) -> None:
        """Note what others may refer to the object of the image by, which is created again."""
        unique = {field.attname for field in model._meta.concrete_fields if field.unique}
        values = former_values(model, image.values)
        self._coming[model].append({name: values[name] for name in unique & values.keys()})

    def missing(self) -> Iterator[Refusal]:
        """Refuse to refer to what is gone and does not come back: the database could say less."""
        for field, values in self._values.items():
            model = field.related_model
            targets = model._base_manager.using(self._database)
            name = field.target_field.attname
            back = {
                each[name]
                for other, coming in self._coming.items()
                if issubclass(other, model)
                for each in coming
                if name in each
            }
            for chunk in query_chunks(values.keys() - back, self._database):
                found = targets.filter(**{f"{name}__in": chunk}).values_list(name, flat=True)
                for value in sorted({*chunk} - {*found}):
                    part, link = values[value]
                    why = f"its former {field.name} is gone: {model._meta.label} {value}"
                    yield Refusal.of(part, link, why, is_final=True)
