"""The class that spec authors write: its defaults and its hooks, in every form."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from data_migration import BaseMigration, Migration
from data_migration.exceptions import SpecError
from data_migration.spec.hooks import Hooks, OwnHooks

HOOKS = [name for name in vars(Migration) if name.startswith("hook_")]
#: The arguments that the engine hands to each hook.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "hook_before_all": (),
    "hook_before_transformation": ({},),
    "hook_before_save": (None, {}),
    "hook_after_save": (None, {}),
    "hook_update_existing": (None, {}),
    "hook_after_all": (),
    "hook_row_count": (None, None),
    "hook_error_creating_instance": (ValueError("no"), {"id": 7}),
}


def subclass(**attributes: Any) -> type[Migration]:
    return type("Sub", (Migration,), attributes)


def test_the_hooks_are_those_of_the_contract() -> None:
    assert set(HOOKS) == set(ARGUMENTS)


def test_a_migration_reads_nothing_unless_told_from_where() -> None:
    with pytest.raises(SpecError, match=r"Sub: set source to a name in DATA_MIGRATION_SOURCES"):
        subclass().open_db_connection()


def test_base_migration_reads_the_source_named_legacy(settings: Any, sqlite_file: Any) -> None:
    settings.DATA_MIGRATION_SOURCES = {"legacy": {"ENGINE": "sqlite", "NAME": sqlite_file}}
    connection = BaseMigration.open_db_connection()
    assert connection.execute("SELECT 1").fetchone()[0] == 1
    connection.close()


@pytest.mark.parametrize("hook", sorted(set(HOOKS) - {"hook_error_creating_instance"}))
def test_a_hook_that_is_not_overridden_does_nothing(hook: str) -> None:
    for owner in (Migration, Migration()):
        assert getattr(owner, hook)(*ARGUMENTS[hook]) is None


def test_a_failed_row_is_told_on_stderr_and_raised(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"):
        subclass().hook_error_creating_instance(*ARGUMENTS["hook_error_creating_instance"])
    assert capsys.readouterr().err == "Sub: ValueError: no\n  row: id = 7\n"


# ---------------------------------------------------------------- forms of a hook


@pytest.mark.parametrize("form", ["method", "classmethod", "staticmethod"])
@pytest.mark.parametrize("hook", [*HOOKS, "open_db_connection"])
def test_every_hook_may_be_any_kind_of_method(hook: str, form: str) -> None:
    arguments = ARGUMENTS.get(hook, ())
    attribute: Any = {
        "method": lambda self, *given: ("called", given),
        "classmethod": classmethod(lambda cls, *given: ("called", given)),
        "staticmethod": staticmethod(lambda *given: ("called", given)),
    }[form]
    migration = subclass(**{hook: attribute})
    assert hook in OwnHooks(migration)
    assert getattr(migration(), hook)(*arguments) == ("called", arguments)


def test_a_plain_method_keeps_state_on_its_instance_only() -> None:
    class Counting(Migration):
        rows = 0

        def hook_before_transformation(self, row: dict[str, Any]) -> None:  # type: ignore[override]
            self.rows += 1

    one, other = Counting(), Counting()
    one.hook_before_transformation({})
    assert (one.rows, other.rows, Counting.rows) == (1, 0, 0)


def test_a_plain_method_may_call_super() -> None:
    class Careful(Migration):
        def hook_before_save(self, instance: Any, row: dict[str, Any]) -> Any:  # type: ignore[override]
            return super().hook_before_save(instance, row) or "own"

    assert Careful().hook_before_save(None, {}) == "own"


# ---------------------------------------------------------------- own hooks


@pytest.mark.parametrize("hook", [*HOOKS, "open_db_connection"])
def test_nothing_is_overridden_in_a_bare_subclass(hook: str) -> None:
    assert hook not in OwnHooks(Migration)
    assert hook not in OwnHooks(BaseMigration)
    assert hook not in OwnHooks(subclass())


def test_an_inherited_hook_is_overridden() -> None:
    class Parent(Migration):
        def hook_before_all(self) -> None:  # type: ignore[override]
            pass

    class Child(Parent):
        pass

    assert "hook_before_all" in OwnHooks(Child)
    assert "hook_after_all" not in OwnHooks(Child)


def test_a_hook_of_a_mixin_is_overridden_where_it_wins() -> None:
    class Mixin:
        def hook_before_all(self) -> None:
            pass

    assert "hook_before_all" in OwnHooks(type("First", (Mixin, Migration), {}))
    assert "hook_before_all" not in OwnHooks(type("Last", (Migration, Mixin), {}))


def test_a_patched_hook_is_overridden_as_long_as_it_is_patched() -> None:
    migration = subclass()
    with mock.patch.object(migration, "hook_after_all") as hook:
        assert "hook_after_all" in OwnHooks(migration)
        migration().hook_after_all()
    hook.assert_called_once_with()
    assert "hook_after_all" not in OwnHooks(migration)


def test_a_hook_assigned_later_is_overridden() -> None:
    migration = subclass()
    setattr(migration, "hook_after_all", classmethod(lambda cls: None))  # noqa: B010  mypy
    assert "hook_after_all" in OwnHooks(migration)


def test_own_hooks_are_told_apart_by_what_they_see() -> None:
    migration = subclass(
        hook_error_creating_instance=lambda self, exception, row: None,
        hook_after_save=lambda self, instance, row: None,
        hook_update_existing=lambda self, instance, row: None,
        hook_before_all=lambda self: None,
    )
    own = OwnHooks(migration)
    assert own.see_rows == (
        "hook_after_save",
        "hook_update_existing",
        "hook_error_creating_instance",
    )
    assert own.see_instances == ("hook_after_save", "hook_update_existing")
    assert own.see_new_instances == ("hook_after_save",)


def test_the_hooks_of_a_step_are_those_of_its_instance() -> None:
    migration = subclass(hook_row_count=lambda self, connection, cursor: self)()
    hooks = Hooks(migration)
    assert hooks.row_count is not None
    assert hooks.row_count(None, None) is migration
    assert hooks.before_save is None
