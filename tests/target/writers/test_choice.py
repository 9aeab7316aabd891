"""Which writer a migration gets, and the reason that is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.db.models.signals import m2m_changed, post_init, post_save, pre_save

from data_migration.exceptions import SpecError
from data_migration.migration import Migration
from data_migration.outcomes import RunStatus
from data_migration.spec.hooks import Hooks
from data_migration.writers import choose_writer, instances_needed
from tests.apps.shop.models import (
    Category,
    Custom,
    Everything,
    Log,
    Place,
    Product,
    Restaurant,
    Shouting,
    Stamped,
    Watched,
)
from tests.settings import TARGET
from tests.support.engine import migrate, migrate_fine
from tests.support.writers import FASTEST, unforced

pytestmark = pytest.mark.django_db


def choice(model: Any, **attributes: Any) -> tuple[str, str]:
    migration = type("M", (Migration,), {"model": model, **attributes})()
    writer, reason = choose_writer("shop.M", migration, database="default")
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


#: Why a plain model is not saved row by row.
PLAIN = "nothing on the model needs save()"
if TARGET == "postgresql":
    PLAIN += ", and PostgreSQL takes COPY"


@unforced
@pytest.mark.parametrize("model", [Product, Place, Stamped, Watched, Everything])
def test_plain_model_gets_the_fastest_of_its_database(model: Any) -> None:
    assert choice(model) == (FASTEST, PLAIN)


@unforced
@pytest.mark.parametrize(
    ("model", "why"),
    [(Custom, "upper is a UpperField, which has methods of its own")],
)
def test_field_with_methods_of_its_own_goes_by_insert(model: Any, why: str) -> None:
    no_copy = f", but no COPY: {why}" if TARGET == "postgresql" else ""
    assert choice(model) == ("bulk", f"nothing on the model needs save(){no_copy}")


def test_copy_is_refused_where_there_is_none_with_what_to_write_instead() -> None:
    if TARGET == "postgresql":
        assert choice(Product, writer="copy") == ("copy", "the migration asks for it")
        model, why = Custom, "upper is a UpperField"
    else:
        model, why = Product, "COPY is PostgreSQL's"
    with pytest.raises(SpecError) as refused:
        choice(model, writer="copy")
    assert f"cannot write {model.__name__} into 'default': {why}" in str(refused.value)
    assert 'Set writer = "bulk" or "auto"' in str(refused.value)


def test_overridden_save() -> None:
    assert choice(Shouting) == ("save", "Shouting overrides save()")


def test_second_table() -> None:
    assert choice(Restaurant) == ("save", "Restaurant inherits from another table")


@unforced
def test_proxy_of_a_plain_model_gets_the_fastest_as_well() -> None:
    class Cheap(Product):
        class Meta:
            proxy = True
            app_label = "shop"

    assert choice(Cheap) == (FASTEST, PLAIN)


@unforced
@pytest.mark.parametrize(("signal", "name"), [(pre_save, "pre_save"), (post_save, "post_save")])
def test_signals(signal: Any, name: str) -> None:
    with listening(signal, Watched):
        assert choice(Watched) == ("save", f"{name} receivers listen to Watched")
        assert choice(Product)[0] == FASTEST
    assert choice(Watched)[0] == FASTEST


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
    with pytest.raises(SpecError, match=r"shop.M: writer 'fast' does not exist; choose .*bulk"):
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


# ------------------------------------------------------------------ is an instance needed?


def needed(model: Any, *columns: str, **attributes: Any) -> str:
    chosen = type("M", (Migration,), {"model": model, "writer": "bulk", **attributes})()
    writer, _ = choose_writer("shop.M", chosen, database="default")
    return instances_needed(model, writer, columns, hooks=Hooks(chosen), database="default")


def _hook(self: Any, instance: Any, row: Any) -> None:
    """An overridden hook."""


def test_rows_of_a_plain_model_become_no_instances() -> None:
    assert needed(Product, "id", "sku", "name", "tags", "unknown") == ""
    assert needed(Log, "text", hook_before_transformation=lambda self, row: None) == ""


@pytest.mark.parametrize("name", ["hook_before_save", "hook_after_save"])
def test_a_hook_gets_its_instance(name: str) -> None:
    assert needed(Log, "text", **{name: _hook}) == f"{name} gets it"


def test_save_needs_them() -> None:
    assert needed(Log, "text", writer="save") == "the writer save saves it"


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Custom, "Django writes it: upper is a UpperField, which has methods of its own"),
        (Everything, "file is a file"),
        (Category, "rows may wait for others of the same model (parent)"),
    ],
)
def test_what_the_model_has_to_say(model: Any, why: str) -> None:
    assert needed(model, "id") == why


def test_a_property_is_set_on_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Log, "alias", property(None, lambda self, value: None), raising=False)
    monkeypatch.setattr(
        Log._meta, "_property_names", frozenset({"alias"}), raising=False
    )  # Django remembers them
    assert needed(Log, "text", "alias") == "alias is set on it"


def test_an_init_and_its_signals_see_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(post_init, Log):
        assert needed(Log, "text") == "post_init receivers listen to Log"
    monkeypatch.setattr(Log, "__init__", lambda self, *args, **kwargs: None)
    assert needed(Log, "text") == "Log overrides __init__()"
