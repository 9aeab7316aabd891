"""django-taggit: tags arrive as a many-to-many, change, are judged and undone."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration import Migration, is_a
from data_migration.ledger import Ledger
from data_migration.outcomes import Mode, OnConflict
from data_migration.plan.graph import build_plan
from data_migration.undo import Selection, roll_back
from tests.support.engine import label_of, migrate, migrate_fine, over
from tests.support.undoing import undo

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def tagged(install: Any) -> Any:
    return install("tagged", "taggit")


@pytest.fixture(params=["Article", "Book"])
def articles(tagged: Any, request: pytest.FixtureRequest) -> Any:
    """A model whose tags are kept by a generic foreign key, and one with a join model."""
    return getattr(tagged, request.param)


@pytest.fixture
def tags(articles: Any) -> Any:
    from taggit.models import Tag

    Tag.objects.bulk_create(Tag(name=name, slug=name) for name in "abc")
    return Tag


def of(articles: Any, tags: Any, writer: str = "auto", **attributes: Any) -> type[Migration]:
    described = {"tags": is_a(tags, "name", m2m=True, delimiter=",")}
    defaults = {
        "model": articles,
        "writer": writer,
        "allow_updates": True,
        "column_description": described,
    }
    return type("Articles", (Migration,), defaults | attributes)


def stored(articles: Any) -> list[tuple[str, list[str]]]:
    found = articles.objects.order_by("pk")
    return [(each.title, sorted(each.tags.names())) for each in found]


ROWS = [{"id": 1, "title": "one", "tags": "a, b"}, {"id": 2, "title": "two", "tags": None}]


def test_tags_arrive_change_and_are_put_back(articles: Any, tags: Any, writer: str) -> None:
    migration = of(articles, tags, writer)
    assert migrate_fine(migration, ROWS).counts == {"created": 2}
    assert stored(articles) == [("one", ["a", "b"]), ("two", [])]
    assert migrate_fine(migration, ROWS).counts == {"unchanged": 2}
    changed = [ROWS[0] | {"tags": "b,c"}, ROWS[1]]
    result = migrate_fine(migration, changed)
    assert result.counts == {"updated": 1, "unchanged": 1}
    assert stored(articles) == [("one", ["b", "c"]), ("two", [])]
    undo(migration, result.run)
    assert stored(articles) == [("one", ["a", "b"]), ("two", [])]


def test_articles_go_with_their_tags_and_the_tags_stay(articles: Any, tags: Any) -> None:
    migration = of(articles, tags)
    migrate_fine(migration, ROWS)
    undo(migration)
    assert stored(articles) == []
    assert articles.tags.through.objects.count() == 0
    assert tags.objects.count() == 3


def test_articles_and_the_tags_that_a_migration_made_are_rolled_back_together(
    articles: Any,
) -> None:
    from taggit.models import Tag

    made = type("Tags", (Migration,), {"model": Tag})
    migration = of(articles, Tag)
    migrate_fine(made, [{"id": 1, "name": "a", "slug": "a"}, {"id": 2, "name": "b", "slug": "b"}])
    migrate_fine(migration, ROWS)
    plan = build_plan({label_of(each): over(each, [], ["id"]) for each in (made, migration)})
    roll_back(Selection(), plan, Ledger("default"))
    assert stored(articles) == []
    assert Tag.objects.count() == 0


def test_tags_that_are_in_use_are_not_rolled_back_alone(articles: Any) -> None:
    from taggit.models import Tag

    made = type("Tags", (Migration,), {"model": Tag})
    migrate_fine(made, [{"id": 1, "name": "a", "slug": "a"}])
    articles.objects.create(title="by hand").tags.add("a")
    with pytest.raises(Exception, match="refers to it"):
        undo(made)


@pytest.mark.parametrize(
    ("policy", "left"), [(OnConflict.KEEP, ["a", "c"]), (OnConflict.OVERWRITE, ["b"])]
)
def test_what_a_person_tagged_is_a_conflict(
    articles: Any, tags: Any, writer: str, policy: OnConflict, left: list[str]
) -> None:
    migration = of(articles, tags, writer, on_conflict=policy)
    migrate_fine(migration, ROWS)
    articles.objects.get(pk=1).tags.set(["a", "c"])
    result = migrate(migration, [ROWS[0] | {"tags": "b"}])
    assert result.counts["warnings"] == 1
    assert stored(articles)[0] == ("one", left)
    assert [message.column for message in result.messages] == ["tags"]


def test_a_tag_that_is_missing_fails_the_row_or_is_left_out(articles: Any, tags: Any) -> None:
    rows = [ROWS[0] | {"tags": "a,x"}]
    result = migrate(of(articles, tags), rows)
    assert result.causes == ["name = 'x' matches no taggit.Tag"]
    described = {"tags": is_a(tags, "name", m2m=True, delimiter=",", skip_missing=True)}
    assert migrate(of(articles, tags, column_description=described), rows).counts == {
        "created": 1,
        "warnings": 1,
    }
    assert stored(articles) == [("one", ["a"])]


def test_a_column_of_tags_that_is_not_described_is_refused(articles: Any, tags: Any) -> None:
    result = migrate(of(articles, tags, column_description={}), ROWS)
    assert result.step.created == 0
    assert "describe a many-to-many with is_a(..., m2m=True)" in str(result.error)
    assert stored(articles) == []


def test_hooks_may_make_tags_of_a_text(articles: Any, tags: Any) -> None:
    def hook_after_save(self: Any, instance: Any, row: dict[str, Any]) -> None:
        instance.tags.set(row["tags"].split(","))

    described = {"tags": is_a(exclude=True)}
    migration = of(articles, tags, column_description=described, hook_after_save=hook_after_save)
    migrate_fine(migration, [ROWS[0] | {"tags": "a,new"}])
    assert stored(articles) == [("one", ["a", "new"])]


def test_a_rehearsal_leaves_nothing(articles: Any, tags: Any) -> None:
    assert migrate_fine(of(articles, tags), ROWS, mode=Mode.REHEARSAL).counts == {"created": 2}
    assert stored(articles) == []
