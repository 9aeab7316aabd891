"""The save writer: ``save()`` and its signals, once for each row."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models.signals import m2m_changed, post_save

from data_migration.migration import Migration
from data_migration.spec.columns import is_a
from tests.apps.shop.models import Place, Restaurant, Shouting, Tag, Watched
from tests.support.engine import migrate, migrate_fine

pytestmark = pytest.mark.django_db


class WatchedMigration(Migration):
    model = Watched
    column_description = {"tags": is_a(Tag, "name", m2m=True)}
    writer = "save"


def test_signals_are_sent_once_for_each_row_in_spite_of_bad_ones() -> None:
    saved: list[Any] = []
    linked: list[Any] = []

    def on_save(instance: Any, created: bool, **_: Any) -> None:
        saved.append((instance.pk, created))

    def on_link(instance: Any, action: str, **_: Any) -> None:
        linked.append((instance.pk, action))

    Tag.objects.create(name="a")
    post_save.connect(on_save, sender=Watched)
    m2m_changed.connect(on_link, sender=Watched.tags.through)
    try:
        rows = [{"id": n, "name": "x" if n != 3 else None, "tags": "a"} for n in range(1, 6)]
        result = migrate(WatchedMigration, rows)
    finally:
        post_save.disconnect(on_save, sender=Watched)
        m2m_changed.disconnect(on_link, sender=Watched.tags.through)
    assert result.counts == {"created": 4, "failed": 1}
    assert saved == [(n, True) for n in (1, 2, 4, 5)]
    assert linked == [(n, action) for n in (1, 2, 4, 5) for action in ("pre_add", "post_add")]


def test_model_of_two_tables() -> None:
    class RestaurantMigration(Migration):
        model = Restaurant

    migrate_fine(RestaurantMigration, [{"id": 5, "name": "x", "stars": 3}])
    restaurant = Restaurant.objects.get()
    assert (restaurant.pk, restaurant.name, restaurant.stars) == (5, "x", 3)
    assert Place.objects.create(name="next").pk > 5


def test_model_of_two_tables_is_updated() -> None:
    class RestaurantMigration(Migration):
        model = Restaurant
        allow_updates = True
        search_attr = "name"

    migrate_fine(RestaurantMigration, [{"name": "x", "stars": 3}])
    result = migrate_fine(RestaurantMigration, [{"name": "x", "stars": 4}])
    assert result.counts == {"updated": 1}
    assert (Place.objects.count(), Restaurant.objects.get().stars) == (1, 4)


def test_bad_row_of_two_tables_leaves_nothing_in_the_first() -> None:
    class RestaurantMigration(Migration):
        model = Restaurant

    result = migrate(RestaurantMigration, [{"id": 1, "name": "x", "stars": None}])
    assert result.told == [("1", "stars", "NULL")]
    assert not Place.objects.exists()


@pytest.mark.parametrize("signature", ["plain", "using", "keywords"])
def test_save_of_any_signature(signature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Shouting.save
    called = []

    def plain(self: Any) -> None:
        called.append("plain")
        original(self)

    def using(self: Any, using: Any = None) -> None:
        called.append("using")
        original(self, using=using)

    def keywords(self: Any, **options: Any) -> None:
        called.append("keywords")
        original(self, **options)

    class ShoutingMigration(Migration):
        model = Shouting
        allow_updates = True
        search_attr = "id"

    functions = {"plain": plain, "using": using, "keywords": keywords}
    monkeypatch.setattr(Shouting, "save", functions[signature])
    migrate_fine(ShoutingMigration, [{"id": 1, "name": "x"}])
    migrate_fine(ShoutingMigration, [{"id": 1, "name": "y"}])
    assert Shouting.objects.get().name == "Y"
    assert called == [signature] * 2


def test_what_save_changes_is_updated_too() -> None:
    class ShoutingMigration(Migration):
        model = Shouting
        allow_updates = True
        search_attr = "id"

    migrate_fine(ShoutingMigration, [{"id": 1, "name": "x"}])
    migrate_fine(ShoutingMigration, [{"id": 1, "name": "y"}])
    assert Shouting.objects.get().name == "Y"


def test_a_row_is_saved_before_the_hooks_of_the_next_one_run() -> None:
    seen: list[int] = []

    class CountingMigration(WatchedMigration):
        def hook_before_save(self, instance: Any, row: dict[str, Any]) -> None:
            seen.append(Watched.objects.count())

    migrate_fine(CountingMigration, [{"id": n, "name": "x", "tags": None} for n in (1, 2, 3)])

    assert seen == [0, 1, 2]
