"""What a patch with ``writes`` keeps of what it changes, however it changes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, connections, transaction
from django.db.migrations.state import ProjectState
from django.db.models import F, Model

from data_migration.exceptions import SpecError
from data_migration.fields.digests import FieldDigests
from data_migration.ledger import LinkBook
from data_migration.ledger.images import Images
from data_migration.models import MigrationState
from data_migration.outcomes import LinkKind
from data_migration.patches import images
from data_migration.patches.images import Keeper, isolated, keeper_of, keeping, models_written
from data_migration.patches.patch import Context, Patch
from data_migration.rows.keys import key_text
from tests.apps.shop.models import Brand, Country, Everything, Place, Restaurant, Tag, Token
from tests.support.engine import statements

pytestmark = pytest.mark.django_db
RUN = 7


class Whole(Patch):
    def execute(self) -> None:
        pass


def whole(*writes: Any, **attributes: Any) -> Patch:
    made = type("Whole", (Whole,), {"writes": writes, **attributes})
    return made(Context(apps=apps, database="default"))


@contextmanager
def kept(*models: type[Model]) -> Iterator[None]:
    patch = whole(*models)
    with (
        isolated(patch, "default"),
        transaction.atomic(),
        keeping(patch, "patch:shop.x", run=RUN, database="default"),
    ):
        yield


def book_of(model: type[Model]) -> LinkBook:
    state = MigrationState.objects.get(label=f"patch:shop.x/{model._meta.label}")
    return LinkBook(state, database="default")


def links(model: type[Model]) -> dict[str, tuple[LinkKind, set[str]]]:
    """By key how the object got there, and the fields whose digests are known."""
    book = book_of(model)
    return {
        link.key: (
            LinkKind(link.kind),
            {name for name, digest in book.written(link).items() if digest},
        )
        for link in book.all()
    }


def before(model: type[Model]) -> dict[str, tuple[bool, dict[str, Any]]]:
    found = Images(book_of(model).state, database="default").all()
    return {image.object_pk: (image.is_deleted, dict(image.values)) for image in found}


def test_what_was_changed_created_and_deleted_is_kept() -> None:
    same, changed, gone = (Tag.objects.create(name=name) for name in ("same", "old", "gone"))
    number = gone.pk

    with kept(Tag):
        Tag.objects.filter(pk=changed.pk).update(name="new")
        gone.delete()
        made = Tag.objects.create(name="made")

    assert links(Tag) == {
        str(changed.pk): (LinkKind.ADOPTED, {"name"}),
        str(made.pk): (LinkKind.CREATED, {"name"}),
    }
    assert before(Tag) == {
        str(changed.pk): (False, {"name": "old"}),
        str(number): (True, {"id": str(number), "name": "gone"}),
    }
    assert same.pk


def test_only_the_columns_that_changed_count_as_written() -> None:
    brand = Brand.objects.create(name="a", code="A", number=1)
    with kept(Brand):
        Brand.objects.update(number=F("number") + 1)

    assert links(Brand) == {str(brand.pk): (LinkKind.ADOPTED, {"number"})}
    brand.refresh_from_db()
    (link,) = book_of(Brand).all()
    digests = FieldDigests(Brand, database="default")
    assert book_of(Brand).written(link)["number"] == digests.of_values("number", vars(brand))


def test_what_was_written_twice_has_one_link_with_the_digests_of_both() -> None:
    brand = Brand.objects.create(name="a", code="A", number=1)
    with kept(Brand):
        Brand.objects.update(number=2)
    with kept(Brand):
        Brand.objects.update(name="b")

    assert links(Brand) == {str(brand.pk): (LinkKind.ADOPTED, {"number", "name"})}
    found = list(Images(book_of(Brand).state, database="default").all())
    assert [image.values for image in found] == [{"number": "1"}, {"name": "a"}]
    assert [image.link is None for image in found] == [True, False]


def test_pages_of_rows_are_compared_with_all_that_came_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "_PAGE", 3)
    monkeypatch.setattr(images, "_IN_MEMORY", 10)
    for letter in "BDFHJLN":
        Country.objects.create(code=letter, name=letter)

    with kept(Country):
        Country.objects.filter(code__in="BN").update(name="x")
        Country.objects.filter(code__in="DFH").delete()
        for letter in "ACEGIKMOPQRS":
            Country.objects.create(code=letter, name=letter)

    assert {key: kind for key, (kind, _) in links(Country).items()} == {
        **{f'"{letter}"': LinkKind.CREATED for letter in "ACEGIKMOPQRS"},
        **{f'"{letter}"': LinkKind.ADOPTED for letter in "BN"},
    }
    assert {pk: is_deleted for pk, (is_deleted, _) in before(Country).items()} == {
        **dict.fromkeys("DFH", True),
        **dict.fromkeys("BN", False),
    }


def test_a_child_is_kept_with_what_it_has_in_its_parents_table() -> None:
    Restaurant.objects.create(name="a", stars=1)
    Place.objects.create(name="no restaurant")
    with kept(Restaurant):
        Restaurant.objects.update(name="b")

    (only,) = before(Restaurant).values()
    assert only == (False, {"name": "a"})


@pytest.mark.parametrize("column", [field.name for field in Everything._meta.concrete_fields[1:]])
def test_a_value_of_every_kind_that_stays_is_no_change(column: str) -> None:
    filled = Everything.objects.create(json={"a": [1, True]}, real=1.5)
    with kept(Everything):
        Everything.objects.filter(pk=filled.pk).update(**{column: F(column)})

    assert links(Everything) == {}


def test_json_that_python_takes_for_the_same_is_not() -> None:
    Everything.objects.create(json={"a": 1})
    with kept(Everything):
        Everything.objects.update(json={"a": True})

    assert [values for _, values in before(Everything).values()] == [{"json": {"a": 1}}]


def test_the_objects_of_a_batch_are_watched_by_their_keys() -> None:
    one, two = Token.objects.create(name="1"), Token.objects.create(name="2")
    with transaction.atomic():
        keeper = Keeper("patch:shop.x", Token, run=RUN, database="default")
        with statements() as seen, keeper.watching([one.pk, two.pk]):
            Token.objects.filter(name="1").update(name="one")

    assert links(Token) == {key_text(one.pk): (LinkKind.ADOPTED, {"name"})}
    assert len([each for each in seen if "shop_token" in each]) == 3, "before, own, after"


def test_a_block_that_fails_keeps_nothing() -> None:
    Tag.objects.create(name="a")

    def fail() -> None:
        with kept(Tag):
            Tag.objects.update(name="b")
            raise ValueError

    with pytest.raises(ValueError):
        fail()

    assert not MigrationState.objects.exists()


# ------------------------------------------------------------------ what may stand in writes


def test_models_are_named_by_their_classes_or_labels() -> None:
    assert models_written(whole(Tag, "shop.Brand", Tag)) == [Tag, Brand]
    assert models_written(whole()) == []


@pytest.mark.parametrize("name", ["shop.Nothing", "nowhere.Tag", "Tag"])
def test_a_model_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(SpecError) as refused:
        models_written(whole(name))

    assert str(refused.value) == f"Whole: writes names {name}, and there is no such model."


def test_without_a_transaction_nothing_can_be_kept() -> None:
    with pytest.raises(SpecError) as refused:
        models_written(whole(Tag, atomic=False))

    assert str(refused.value) == (
        "Whole: with atomic = False others write at the same time, so nobody can tell what the"
        " patch changes. Leave out writes, or atomic."
    )


def test_of_a_queryset_only_its_own_objects_are_kept() -> None:
    with pytest.raises(SpecError) as refused:
        keeper_of(whole(Tag, Brand), "patch:shop.x", Tag, run=RUN, database="default")

    assert str(refused.value) == (
        "Whole: writes has shop.Brand, and queryset() is of shop.Tag. Of a patch with a queryset"
        " only its own objects are kept: make another patch for the others, or one with execute()."
    )
    assert keeper_of(whole(), "patch:shop.x", Tag, run=RUN, database="default") is None


def test_a_model_of_todays_code_is_told_from_that_of_the_place() -> None:
    patch = whole("shop.Tag")
    patch.ctx = Context(apps=ProjectState.from_apps(apps).apps, database="default")

    with pytest.raises(SpecError) as refused:
        keeper_of(patch, "patch:shop.x", Tag, run=RUN, database="default")

    assert str(refused.value) == (
        "Whole: queryset() is of the shop.Tag of today's code, and in a schema migration writes"
        ' means the one of that place. Write self.ctx.model("shop.Tag") in queryset(), which is'
        " right in both."
    )


# ------------------------------------------------------------------ nobody else writes


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="one connection writes at a time")
@pytest.mark.parametrize("rows", [0, 3])
def test_others_wait_to_write_to_the_table_and_are_not_taken_for_the_patch(rows: int) -> None:
    Tag.objects.bulk_create(Tag(name=f"tag {number}") for number in range(rows))
    written = threading.Event()

    def beside() -> None:
        try:
            Tag.objects.create(name="a person's")
            Tag.objects.filter(name="tag 1").update(name="a person's, too")
            written.set()
        finally:
            connections["default"].close()

    other = threading.Thread(target=beside)
    with kept(Tag):
        other.start()
        assert not written.wait(0.5)
        Tag.objects.filter(name="tag 0").update(name="the patch's")
    other.join(20)

    assert written.is_set()
    assert len(links(Tag)) == min(rows, 1)
    assert Tag.objects.filter(name__startswith="a person's").count() == (2 if rows else 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "mysql", reason="about its isolation levels")
def test_the_isolation_of_the_session_comes_back() -> None:
    def level() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW SESSION VARIABLES LIKE 't%isolation'")
            return str(cursor.fetchone()[1])

    former = level()
    with isolated(whole(Tag), "default"):
        assert level() == "SERIALIZABLE"
    assert level() == former
    with isolated(whole(), "default"):
        assert level() == former
