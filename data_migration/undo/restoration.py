"""Objects that a rollback gives back what they were, or creates again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

from django.db import IntegrityError, connections, transaction
from django.db.models import Model

from ..fields.lookup import field_of, table_of
from ..fields.primary_keys import pk_from_text
from ..ledger.images import Image, former_values, merged
from ..utils.chunks import query_chunks
from ..utils.databases import database_of
from .rollback_plan import Former, Undo
from .selection import Part

#: By model: migrations, each with its objects by primary key.
_Formers = Mapping[Any, Sequence[tuple[Part, Mapping[Any, Former]]]]


class Restoration:
    """Puts objects back; those of several migrations into one model together."""

    def __init__(self, undos: Sequence[Undo], *, database: str) -> None:
        self._database = database
        self._restored: dict[Any, list[tuple[Part, Mapping[Any, Former]]]] = defaultdict(list)
        self._recreated: dict[Any, list[tuple[Part, Mapping[Any, Former]]]] = defaultdict(list)
        self._uncovered: dict[Any, list[tuple[Part, Mapping[Any, Former]]]] = defaultdict(list)
        # In the order of the plan: what is created again may refer to what comes before it.
        for undo in reversed(undos):
            self._restored[undo.part.model].append((undo.part, undo.restored))
            self._recreated[undo.part.model].append((undo.part, undo.recreated))
            self._uncovered[undo.part.model].append((undo.part, undo.uncovered))

    @contextmanager
    def unchecked(self) -> Iterator[None]:
        """Let objects that come back refer to each other, where foreign keys are checked at once.

        The other databases check them when the transaction ends.
        """
        connection = connections[self._database]
        recreates = any(objects for each in self._recreated.values() for _, objects in each)
        if not database_of(self._database).checks_keys_at_once or not recreates:
            yield
            return
        with connection.constraint_checks_disabled():
            yield
        models = {each for model in self._recreated for each in (model, *model._meta.all_parents)}
        connection.check_constraints(table_names=sorted(each._meta.db_table for each in models))

    def restore(self, *, relations: bool) -> None:
        """Give changed objects their former values: those of foreign keys, or all others."""
        for model, images in self._batches_of(self._restored):
            wanted = {f.attname for f in model._meta.concrete_fields if f.is_relation == relations}
            values = {
                pk: {name: value for name, value in former.items() if name in wanted}
                for image, pk in images
                if (former := former_values(model, image.values))
            }
            self._write(model, {pk: each for pk, each in values.items() if each})

    def _write(self, model: type[Model], values: Mapping[Any, Mapping[str, Any]]) -> None:
        """Write values by primary key and attribute name: those of the same fields together."""
        rows = table_of(model, self._database)
        alike: dict[tuple[str, ...], list[Model]] = defaultdict(list)
        for pk, each in values.items():
            instance = model(pk=pk)
            vars(instance).update(each)
            alike[tuple(sorted(each))].append(instance)
        try:
            with transaction.atomic(using=self._database):
                for names, instances in alike.items():
                    fields = [model._meta.get_field(name).name for name in names]
                    rows.bulk_update(instances, fields)
        except IntegrityError:
            # What is unique may have passed from one object to the next: back in that order.
            for pk, each in values.items():
                rows.filter(pk=pk).update(**each)

    def restore_parents(self) -> None:
        """Give the parents of children that go what the children changed of them."""
        for model, image, pk in self._images_of(self._uncovered):
            inherited = {
                name: value
                for name, value in image.values.items()
                if model._meta.get_field(name) not in model._meta.local_fields
            }
            if inherited:
                rows = table_of(model, self._database).filter(pk=pk)
                rows.update(**former_values(model, inherited))

    def recreate(self) -> None:
        """Create again what a run deleted, as it was, with its primary key.

        Inserts as ``loaddata`` does: values as they are, signals raw.
        """
        for model, image, _ in self._images_of(self._recreated):
            values = former_values(model, image.values)
            for each in (*model._meta.all_parents, model):
                names = {field.attname for field in each._meta.local_concrete_fields}
                row = each(**{name: value for name, value in values.items() if name in names})
                is_parent = each is not model
                if is_parent and table_of(each, self._database).filter(pk=row.pk).exists():
                    continue  # it had been there before its child, and stayed
                row.save_base(raw=True, using=self._database, force_insert=True)

    def restore_m2m(self) -> None:
        """Give objects their former many-to-many targets, as far as these are there."""
        for formers in (self._restored, self._recreated):
            for model, image, pk in self._images_of(formers):
                for name, texts in sorted(image.m2m.items()):
                    manager = getattr(model._base_manager.using(self._database).get(pk=pk), name)
                    related = field_of(model, name).related_model
                    to_python = related._meta.pk.to_python
                    rows = related._base_manager.using(self._database)
                    targets = rows.filter(pk__in=[to_python(text) for text in texts])
                    if formers is self._restored:
                        manager.set(targets)
                    else:  # what an object has that was just made, it got back from others
                        manager.add(*targets)

    def _images_of(self, formers: _Formers) -> Iterator[tuple[type[Model], Image, Any]]:
        """Objects with what they were; what was changed last comes first."""
        for model, images in self._batches_of(formers):
            for image, pk in images:
                yield model, image, pk

    def _batches_of(
        self, formers: _Formers
    ) -> Iterator[tuple[type[Model], list[tuple[Image, Any]]]]:
        """The same, many objects of a model at once."""
        for model, of_parts in formers.items():
            pk_of = pk_from_text(model)
            pks = {pk for _, objects in of_parts for pk in objects}
            for chunk in query_chunks(pks, self._database):
                found: dict[Any, list[Image]] = {pk: [] for pk in chunk}
                for part, objects in of_parts:
                    hashes = [objects[pk].key_hash for pk in chunk if pk in objects]
                    for image in chain(*part.images.find(hashes, **part.of_run).values()):
                        if (pk := pk_of(image.object_pk)) in found:
                            found[pk].append(image)
                before = {
                    pk: merged(sorted(images, key=lambda image: image.number))
                    for pk, images in found.items()
                    if images
                }
                last_first = sorted(before, key=lambda pk: -before[pk].number)
                yield model, [(before[pk], pk) for pk in last_first]
