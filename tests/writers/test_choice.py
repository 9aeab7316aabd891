"""Which writer a migration gets, and the reason that is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.db.models.signals import m2m_changed, post_save, pre_save

from data_migration.exceptions import SpecError
from data_migration.migration import Migration
from data_migration.outcomes import RunStatus
from data_migration.writers import choose_writer
from tests.apps.shop.models import Place, Product, Restaurant, Shouting, Stamped, Watched
from tests.support.engine import migrate, migrate_fine

pytestmark = pytest.mark.django_db


def choice(model: Any, **attributes: Any) -> tuple[str, str]:
    migration = type("M", (Migration,), {"model": model, **attributes})()
    writer, reason = choose_writer(migration, database="default")
    return str(writer.name), reason


@contextmanager
def listening(signal: Any, sender: Any) -> Iterator[None]:
    def receiver(**_: Any) -> None:
        """Do nothing."""

    signal.connect(receiver, sender=sender)
    try:
        yield
    finally:
        signal.disconnect(receiver, sender=sender)


@pytest.mark.parametrize("model", [Product, Place, Stamped, Watched])
def test_plain_model_gets_bulk(model: Any) -> None:
    assert choice(model) == ("bulk", "nothing on the model needs save()")


def test_overridden_save() -> None:
    assert choice(Shouting) == ("save", "Shouting overrides save()")


def test_second_table() -> None:
    assert choice(Restaurant) == ("save", "Restaurant inherits from another table")


def test_proxy_of_a_plain_model_gets_bulk() -> None:
    class Cheap(Product):
        class Meta:
            proxy = True
            app_label = "shop"

    assert choice(Cheap)[0] == "bulk"


@pytest.mark.parametrize(("signal", "name"), [(pre_save, "pre_save"), (post_save, "post_save")])
def test_signals(signal: Any, name: str) -> None:
    with listening(signal, Watched):
        assert choice(Watched) == ("save", f"{name} receivers listen to Watched")
        assert choice(Product)[0] == "bulk"
    assert choice(Watched)[0] == "bulk"


def test_signal_of_a_join_table() -> None:
    with listening(m2m_changed, Watched.tags.through):
        assert choice(Watched) == ("save", "m2m_changed receivers listen to Watched.tags")


def test_database_that_does_not_return_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    features = type(connection.features)
    monkeypatch.setattr(features, "can_return_rows_from_bulk_insert", False)
    name, reason = choice(Product)
    assert name == "save"
    assert "does not return the keys" in reason


@pytest.mark.parametrize(("model", "writer"), [(Product, "save"), (Shouting, "bulk")])
def test_explicit_writer_is_honoured(model: Any, writer: str) -> None:
    assert choice(model, writer=writer) == (writer, "the migration asks for it")


def test_unknown_writer_is_refused_with_those_that_exist() -> None:
    with pytest.raises(SpecError, match=r"M: writer 'fast' does not exist; choose auto.*bulk"):
        choice(Product, writer="fast")


def test_bulk_for_two_tables_is_refused_before_any_row() -> None:
    class RestaurantMigration(Migration):
        model = Restaurant
        writer = "bulk"

    result = migrate(RestaurantMigration, [{"id": n, "name": "x", "stars": 1} for n in (1, 2)])
    assert result.step.status == RunStatus.FAILED
    assert isinstance(result.error, SpecError)
    assert "inherits from another table" in result.step.error
    assert result.messages == []


def test_choice_and_reason_are_kept_with_the_step() -> None:
    class ShoutingMigration(Migration):
        model = Shouting

    step = migrate_fine(ShoutingMigration, [{"name": "x"}]).step
    assert (step.writer, step.writer_reason) == ("save", "Shouting overrides save()")
    assert Shouting.objects.get().name == "X"
