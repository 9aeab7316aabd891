"""django-modeltranslation: each text arrives in its language, and no language in another's."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from data_migration import Migration
from data_migration.outcomes import Mode, OnConflict
from tests.support.engine import migrate, migrate_fine
from tests.support.undoing import undo

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def news(install: Any) -> Any:
    languages = {"LANGUAGE_CODE": "en", "MODELTRANSLATION_LANGUAGES": ("en", "de")}
    return install("translated", "modeltranslation", **languages).News


@pytest.fixture(autouse=True)
def _english() -> Any:
    with translation.override("en"):
        yield


def of(model: Any, writer: str, **attributes: Any) -> type[Migration]:
    defaults = {"model": model, "writer": writer, "allow_updates": True}
    return type("NewsMigration", (Migration,), defaults | attributes)


def stored(model: Any) -> list[dict[str, Any]]:
    """As it stands in the table: the field itself, and each of its languages."""
    names = ("title", "title_en", "title_de")
    return list(model.objects.rewrite(False).order_by("pk").values(*names))


def edit_in_german(model: Any, title: str) -> None:
    with translation.override("de"):
        edited = model.objects.get()
        edited.title = title
        edited.save()


ONE, TWO = [{"id": 1, "title": "one"}], [{"id": 1, "title": "two"}]


def test_the_fields_own_column_fills_the_language_of_the_project(news: Any, writer: str) -> None:
    migrate_fine(of(news, writer), ONE)
    assert stored(news) == [{"title": "one", "title_en": "one", "title_de": None}]
    assert migrate_fine(of(news, writer), ONE).counts == {"unchanged": 1}
    result = migrate_fine(of(news, writer), TWO)
    assert stored(news) == [{"title": "two", "title_en": "two", "title_de": None}]
    undo(of(news, writer), result.run)
    assert stored(news) == [{"title": "one", "title_en": "one", "title_de": None}]


def test_each_language_may_have_a_column_of_its_own(news: Any, writer: str) -> None:
    migration = of(news, writer)
    rows = [
        {"id": 1, "title_en": "one", "title_de": "eins"},
        {"id": 2, "title_en": "two", "title_de": None},
    ]
    migrate_fine(migration, rows)
    assert stored(news) == [
        {"title": "one", "title_en": "one", "title_de": "eins"},
        {"title": "two", "title_en": "two", "title_de": None},
    ]
    assert migrate_fine(migration, rows).counts == {"unchanged": 2}
    changed = [row | {"title_de": "neu"} for row in rows]
    result = migrate_fine(migration, changed)
    assert result.counts == {"updated": 2}
    assert [each["title_de"] for each in stored(news)] == ["neu", "neu"]
    assert [each["title_en"] for each in stored(news)] == ["one", "two"]
    undo(migration, result.run)
    assert [each["title_de"] for each in stored(news)] == ["eins", None]
    undo(migration)
    assert stored(news) == []


def test_a_german_edit_stays_and_never_gets_into_the_english_column(
    news: Any, writer: str
) -> None:
    migration = of(news, writer)
    migrate_fine(migration, ONE)
    edit_in_german(news, "eins")
    assert migrate_fine(migration, ONE).counts == {"unchanged": 1}
    result = migrate(migration, TWO)
    assert result.counts == {"updated": 1, "warnings": 1}
    # django-modeltranslation itself writes the last language into the field's own column.
    assert stored(news) == [{"title": "eins", "title_en": "two", "title_de": "eins"}]
    assert [(m.column, m.cause) for m in result.messages] == [
        ("title", "was changed to 'eins' since it was written, which is kept")
    ]
    with translation.override("de"):
        assert news.objects.get().title == "eins"
    assert news.objects.get().title == "two"


def test_many_rows_keep_their_languages_apart(news: Any, writer: str) -> None:
    migration = of(news, writer)
    rows = [{"id": number, "title": f"one {number}"} for number in range(1, 6)]
    migrate_fine(migration, rows)
    with translation.override("de"):
        for each in news.objects.all():
            each.title = f"eins {each.pk}"
            each.save()
    result = migrate(migration, [row | {"title": f"two {row['id']}"} for row in rows])
    assert result.counts == {"updated": 5, "warnings": 5}
    assert [each["title_en"] for each in stored(news)] == [f"two {n}" for n in range(1, 6)]
    assert [each["title_de"] for each in stored(news)] == [f"eins {n}" for n in range(1, 6)]


def test_an_english_edit_is_kept_as_any_other(news: Any, writer: str) -> None:
    migration = of(news, writer)
    migrate_fine(migration, ONE)
    edited = news.objects.get()
    edited.title = "uno"
    edited.save()
    assert migrate(migration, TWO).counts == {"unchanged": 1, "warnings": 2}
    assert stored(news) == [{"title": "uno", "title_en": "uno", "title_de": None}]


def test_overwriting_an_edit_leaves_the_other_language_alone(news: Any, writer: str) -> None:
    migration = of(news, writer, on_conflict=OnConflict.OVERWRITE)
    migrate_fine(migration, ONE)
    edit_in_german(news, "eins")
    migrate(migration, TWO)
    assert stored(news) == [{"title": "two", "title_en": "two", "title_de": "eins"}]


def test_a_rehearsal_leaves_nothing(news: Any) -> None:
    migrate_fine(of(news, "auto"), ONE, mode=Mode.REHEARSAL)
    assert stored(news) == []
