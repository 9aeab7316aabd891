"""Relations: the values of a column -> the objects they mean, one lookup per batch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from operator import itemgetter
from typing import Any

from django.db.models import ForeignKey, ManyToManyField, Model
from django.db.models.fields.reverse_related import ManyToManyRel

from ..exceptions import ConversionError, MissingTarget, SpecError
from ..ledger.outstanding import Reason
from ..ledger.patterns import FOLLOWS, UNREAD
from ..models import RowError
from ..rows.drafts import Draft, Note
from ..rows.keys import alternative, key_text
from ..spec.columns import Column, Relation
from .legacy_targets import Linked, TargetsByLegacyKey
from .own_keys import own_attrs, own_value
from .targets import AMBIGUOUS, MISSING, Targets, TargetsByAttribute, TargetsByAttributes


class Unfit:
    """A value that the searched attribute cannot have, and why."""

    def __init__(self, value: Any, cause: str) -> None:
        self.value = value
        self.cause = cause


class RelationColumn:
    """A relation to other objects, compiled for one step.

    ``column`` is the entry of ``column_description``, ``columns`` are those of the query that
    hold its value. A relation ``is_self`` when rows of the step may have to wait for each other.
    """

    def __init__(
        self,
        column: str,
        description: Column,
        field: Any,
        *,
        model: type[Model],
        database: str,
        with_instances: bool,
        linked: Linked | None = None,
    ) -> None:
        assert description.klass is not None
        self.column = column
        self.description = description
        self.field = field
        self.columns = description.columns or (column,)
        self._value = itemgetter(*self.columns)
        self.is_many = description.relation is Relation.M2M
        is_same = description.klass._meta.concrete_model is model._meta.concrete_model
        self.is_self = is_same and not description.deferred
        value_attr, instances = _assigned(field, with_instances)
        #: The keyword argument (or many-to-many accessor) that receives the target.
        self.name: str = column if self.is_many else field.name if instances else field.attname
        self._own_key = self._own_key_of(field, description) if is_same else ""
        options: dict[str, Any] = {
            "value_attr": None if instances else value_attr,
            "database": database,
        }
        if description.legacy:
            self.targets: Targets = self._legacy_targets(linked, options)
        else:
            options["prefetch"] = description.prefetch and not is_same
            attrs = description.search_attrs
            self.targets = (
                TargetsByAttribute(description.klass, attrs[0], **options)
                if len(attrs) == 1
                else TargetsByAttributes(description.klass, attrs, **options)
            )
        #: The attributes of this very model that other rows find it by; none where they cannot.
        self._own_attrs = own_attrs(description)
        self._outstanding = linked.outstanding if linked else None
        self._sources = linked.sources.get(column, ()) if linked else ()
        self._keyed = linked.keyed.get(column, ()) if linked else ()
        #: What is known of targets whose rows have failed, by the keys of the batch.
        self._failures: dict[Any, RowError] = {}
        self._can_be_empty = self.is_many or field.null

    def _legacy_targets(self, linked: Linked | None, options: dict[str, Any]) -> Targets:
        assert self.description.klass is not None
        if linked is None:
            raise SpecError(f"Column {self.column!r} needs the ledger to find legacy keys.")
        labels = linked.sources.get(self.column, ())
        self.is_self = self.is_self and linked.label in labels
        return TargetsByLegacyKey(self.description.klass, labels, linked.find, **options)

    def _own_key_of(self, field: Any, description: Column) -> str:
        """The attribute by which a row of a tree may point at itself; empty where none can."""
        if not isinstance(field, ForeignKey):
            return ""
        names = {field.target_field.name, "pk" if field.target_field.primary_key else ""}
        return field.target_field.attname if description.search_attr in names else ""

    def of(self, drafts: Iterable[Draft]) -> list[Draft]:
        """The drafts whose rows have the relation's columns."""
        if len(self.columns) == 1:
            (column,) = self.columns
            return [draft for draft in drafts if column in draft.row]
        wanted = set(self.columns)
        return [draft for draft in drafts if wanted <= draft.row.keys()]

    def keys(self, draft: Draft) -> list[Any]:
        """The relation's values as the target's attribute has them; empty for NULL.

        A value that cannot be one of the attribute's is an :class:`Unfit`.
        """
        value = self._value(draft.row)
        if isinstance(value, Model):
            value = self.targets.key_of(value)
        if not self.is_many:
            if value is None or (type(value) is tuple and None in value):
                return []
            if self.targets.knows(value):
                return [value]
            key = None if self.targets.is_null(value) else self._key(value)
            return [] if key is None else [key]
        try:
            parts = list(self._split(value))
        except UnicodeDecodeError as error:
            return [Unfit(value, f"UnicodeDecodeError: {error}")]
        return list(dict.fromkeys(self._key(part) for part in parts))

    def _key(self, value: Any) -> Any:
        try:
            return self.targets.convert(value)
        except ConversionError as error:
            return Unfit(value, error.cause)

    def _split(self, value: Any) -> Iterator[Any]:
        if isinstance(value, (bytes, bytearray)):
            value = value.decode()
        if isinstance(value, str):
            parts = (part.strip() for part in value.split(self.description.delimiter))
            yield from filter(None, parts)
        elif isinstance(value, Iterable):
            yield from value
        elif value is not None:
            yield value

    def unresolved(self, draft: Draft) -> list[Any]:
        """The keys of the draft whose targets are not known (yet)."""
        keys = self.keys(draft) if self.of([draft]) else []
        return [key for key in keys if self.targets.get(key) is MISSING]

    @property
    def finds_own_rows(self) -> bool:
        """Whether it is known under which key the object of a row will be found."""
        return bool(self._own_attrs or self.description.legacy)

    def own_keys(self, draft: Draft) -> tuple[Any, ...]:
        """The keys under which other rows (will) find the draft's object."""
        if self.description.legacy:
            key = draft.identity.key
            other = alternative(key)
            return (key,) if other is None else (key, other)
        values = tuple(own_value(draft, *names) for names in self._own_attrs)
        return values if len(values) == 1 else (values,)

    def assign(self, draft: Draft, keys: list[Any], *, final: bool) -> None:
        """Give the draft its targets.

        A target of the model itself that does not exist yet makes the draft wait, unless
        ``final``. A missing one is noted with ``skip_missing``, else :exc:`MissingTarget`.
        """
        if not self.is_many and len(keys) == 1 and self.targets.finds(keys[0]):
            draft.values[self.name] = self.targets.get(keys[0])
            return
        found = list(self._found(draft, keys, final=final))
        if self.is_many:
            draft.m2m = {**draft.m2m, self.name: found}
        elif keys and keys == [draft.values.get(self._own_key)]:
            draft.values[self.field.attname] = draft.values[self._own_key]
        else:
            draft.values[self.name] = found[0] if found else None

    def assign_at_once(self, drafts: list[Draft]) -> bool:
        """Give each draft its target; False, and nothing done, unless all of them are found."""
        if self.is_many or len(self.columns) > 1:
            return False
        (column,) = self.columns
        found = self.targets.of_all([draft.row[column] for draft in drafts])
        for draft, target in zip(drafts, found or (), strict=True) if found else ():
            draft.values[self.name] = target
        return found is not None

    def _found(self, draft: Draft, keys: list[Any], *, final: bool) -> Iterator[Any]:
        for key in keys:
            if isinstance(key, Unfit):
                self._miss(draft, key)
                continue
            target = self.targets.get(key)
            if target is AMBIGUOUS:
                raise self._missing(key, self.targets.ambiguity)
            if target is not MISSING:
                yield target
            elif self._own_key and draft.values.get(self._own_key) == key:
                continue  # a root that names itself as its parent
            elif self.is_self and not final:
                # A row cannot be written without its parent; its joins can be added later.
                draft.has_late_m2m = draft.has_late_m2m or self.is_many
                draft.waiting = draft.waiting or not self.is_many
            elif _is_blank(key) and not self.is_many:
                continue
            elif not self._stays_open(key):
                self._miss(draft, key)
            elif self.column not in draft.deferred:
                draft.deferred += (self.column,)

    def _stays_open(self, key: Any) -> bool:
        """Whether the draft can do without a target for now that is looked for again later."""
        if self.description.deferred:
            return True
        can_wait = self.description.skip_missing and self._can_be_empty
        if not can_wait or self.outlook(key) is None:
            return False
        try:
            key_text(key)
        except TypeError:  # the ledger cannot keep it, and no row has it for its key
            return False
        return True

    @property
    def outstanding(self) -> Reason | None:
        """Why a target that is not there may still come; None where none will."""
        return None if self._outstanding is None else self._outstanding.reason(self._sources)

    def outlook(self, key: Any) -> Reason | None:
        """The same for one key, after :meth:`look_for_failures`: by legacy key it may be known."""
        reason = self.outstanding
        is_known = reason is not None and reason.is_known and self.description.legacy
        return None if is_known and key not in self._failures else reason

    def look_for_failures(self, keys: Iterable[Any]) -> None:
        """Find out which of these keys have no target because its row has failed."""
        if self._outstanding is None or not self._keyed:
            return
        missing = [key for key in keys if self.targets.get(key) is MISSING]
        if missing and self.outstanding is not None:
            self._failures = self._outstanding.failures(self._keyed, missing)

    def _miss(self, draft: Draft, key: Any) -> None:
        error = self.missing(key)
        if not self.description.skip_missing:
            raise error
        draft.notes += (Note(self.column, error.value, error.cause),)

    def _missing(self, key: Any, what: str, pattern: str = "") -> MissingTarget:
        label = self.targets.klass._meta.label
        if isinstance(key, Unfit):
            cause = f"cannot be the {self.targets.name} of a {label}: {key.cause}"
            return MissingTarget(cause, column=self.column, value=key.value)
        cause = f"{self.targets.described(key)} {what}"
        return MissingTarget(cause, column=self.column, value=key, pattern=pattern)

    def missing(self, key: Any) -> MissingTarget:
        """What to say of a key that no target has: of one that failed, what has failed."""
        meta = self.targets.klass._meta
        failed = self._failures.get(key) if type(key) is not Unfit else None
        if failed is not None:
            # Of a chain only the first is to be mended, so that is the one which is told.
            is_first = not failed.pattern.startswith(FOLLOWS)
            said = f"{meta.verbose_name} {failed.key} has failed: " if is_first else ""
            pattern = f"{FOLLOWS}: {meta.label}"
            return MissingTarget(
                f"{said}{failed.cause}", column=self.column, value=key, pattern=pattern
            )
        reason = None if type(key) is Unfit else self.outlook(key)
        if reason is None:
            return self._missing(key, f"matches no {meta.label}")
        pattern = f"{UNREAD}: {meta.label}" if reason.is_limit else ""
        return self._missing(key, f"matches no {meta.label}: {reason.text}", pattern)

    def deferred_value(self, draft: Draft) -> Any:
        """What has to be looked for again: the key, or those of a many-to-many not yet found."""
        if not self.is_many:
            return self.keys(draft)[0]
        return [key for key in self.unresolved(draft) if not isinstance(key, Unfit)]


def resolve(
    relations: Collection[RelationColumn], drafts: Iterable[Draft], *, final: bool = False
) -> None:
    """Look up the targets of a batch, one query per relation, and give them to the drafts."""
    drafts = [draft for draft in drafts if draft.error is None]
    # A tree settles some of its relations later: what the others found out stays.
    columns = {relation.column for relation in relations}
    has_m2m = any(relation.is_many for relation in relations)
    for draft in drafts:
        draft.waiting = False
        draft.has_late_m2m = draft.has_late_m2m and not has_m2m
        if draft.notes:
            draft.notes = tuple(
                note for note in draft.notes if note.is_settled or note.column not in columns
            )
        if draft.deferred:
            draft.deferred = tuple(name for name in draft.deferred if name not in columns)
    for relation in relations:
        _resolve_one(relation, relation.of(drafts), final=final)


def _resolve_one(relation: RelationColumn, drafts: list[Draft], *, final: bool) -> None:
    if relation.assign_at_once(drafts):
        return
    keys_of = [relation.keys(draft) for draft in drafts]
    wanted = {key for keys in keys_of for key in keys if type(key) is not Unfit}
    relation.targets.load(wanted)
    relation.look_for_failures(wanted)
    for draft, keys in zip(drafts, keys_of, strict=True):
        if draft.error is None:
            try:
                relation.assign(draft, keys, final=final)
            except MissingTarget as error:
                draft.fail(error)


def _assigned(field: Any, with_instances: bool) -> tuple[str, bool]:
    """What a relation's field wants of its target: (attribute, whether the object itself)."""
    if isinstance(field, ForeignKey):
        return field.target_field.attname, with_instances
    if isinstance(field, ManyToManyField):
        return field.m2m_reverse_target_field_name(), False
    if isinstance(field, ManyToManyRel):
        return field.field.m2m_target_field_name(), False
    # The other side of a foreign key takes objects only. Where it is many, and for the relations
    # of other packages, keys are compared and kept, and who writes them looks for the objects.
    return "pk", bool(field.one_to_one)


def _is_blank(key: Any) -> bool:
    """Whether the key is an empty text, or has one among its parts."""
    return bool("" in key if isinstance(key, tuple) else key == "")
