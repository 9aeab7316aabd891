"""Walls of the house that the types and the layers of imports do not hold up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps

import data_migration

PACKAGE = Path(data_migration.__file__).parent
LEDGER = ("ledger", "models", "migrations")

#: What writes rows, of a queryset or of one object.
WRITES = frozenset(
    f"{prefix}{name}"
    for prefix in ("", "a")
    for name in (
        *("save", "delete", "update", "create", "bulk_create", "bulk_update"),
        *("get_or_create", "update_or_create", "save_base"),
    )
) | {"_raw_delete", "_update", "_insert"}

#: Objects of the users' own models, which these modules are there to write, and remote rows.
OWN_OBJECTS = {
    "transform/trees.py": {"draft.instance", "draft.object"},
    "sync/deletions.py": {"self.connector"},
    "sync/nested.py": {"child"},
    "testing.py": {"connector"},
    "undo/deletion.py": {"collector"},
    "undo/restoration.py": {"row"},
    "writers/save.py": {"instance"},
}


def related_names() -> set[str]:
    """The names by which a row of the ledger reaches others of it."""
    models = apps.get_app_config("data_migration").get_models()
    return {
        name
        for model in models
        for relation in model._meta.related_objects
        if (name := relation.get_accessor_name()) and name != "+"
    }


class Writes(ast.NodeVisitor):
    """Finds the calls of one module that write rows of the ledger.

    Rows of our own are asked for by ``objects`` or by the related names of rows, those of users'
    models by ``_base_manager``. So a queryset is followed back to where it came from; a single
    object that is saved or deleted has to be one of ``own_objects``.
    """

    def __init__(self, own_objects: set[str]) -> None:
        self.found: list[str] = []
        self._own_objects = own_objects
        self._related = related_names()
        self._origins: dict[str, list[ast.expr]] = {}

    def visit_Module(self, node: ast.Module) -> None:
        for each in ast.walk(node):
            targets = each.targets if isinstance(each, ast.Assign) else []
            targets = [each.target] if isinstance(each, (ast.AnnAssign, ast.For)) else targets
            value = each.iter if isinstance(each, ast.For) else getattr(each, "value", None)
            for target in targets:
                if isinstance(value, ast.expr):
                    self._origins.setdefault(ast.unparse(target), []).append(value)
            if isinstance(each, ast.FunctionDef):  # a property or a helper that returns rows
                for part in ast.walk(each):
                    if isinstance(part, ast.Return) and part.value is not None:
                        for name in (each.name, f"self.{each.name}"):
                            self._origins.setdefault(name, []).append(part.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        call = node.func
        if (
            isinstance(call, ast.Attribute)
            and call.attr in WRITES
            and (self._is_ledgers(call.value, set()) or self._is_an_object(call))
        ):
            self.found.append(f"{node.lineno}: {ast.unparse(node)}")
        self.generic_visit(node)

    def _is_an_object(self, call: ast.Attribute) -> bool:
        is_object = call.attr in ("save", "asave", "delete", "adelete", "save_base")
        is_queryset = isinstance(call.value, ast.Call)
        return is_object and not is_queryset and ast.unparse(call.value) not in self._own_objects

    def _is_ledgers(self, node: ast.expr, asked: set[str]) -> bool:
        """Whether rows of the ledger are at the beginning of the chain."""
        while True:
            name = ast.unparse(node)
            if name in self._origins and name not in asked:
                asked.add(name)
                if any(self._is_ledgers(each, asked) for each in self._origins[name]):
                    return True
            if isinstance(node, ast.Attribute):
                if node.attr == "objects" or node.attr in self._related:
                    return True
                node = node.value
            elif isinstance(node, ast.Call):
                node = node.func
            elif isinstance(node, (ast.Subscript, ast.Starred, ast.Await)):
                node = node.value
            else:
                return False


def writes_of(code: str, own_objects: set[str] | None = None) -> list[str]:
    visitor = Writes(own_objects or set())
    visitor.visit(ast.parse(code))
    return visitor.found


def modules() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE)
        if name.parts[0] not in LEDGER:
            yield name.as_posix(), path.read_text()


def test_only_the_ledger_writes_its_tables() -> None:
    found = {
        name: writes
        for name, code in modules()
        if (writes := writes_of(code, OWN_OBJECTS.get(name)))
    }
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        "Run.objects.using(database).filter(pk=1).update(status='done')",
        "rows = StepRange.objects.using(x)\nrows.filter(pk=1).delete()",
        "def f(self):\n    self._rows = X.objects.all()\ndef g(self):\n    self._rows.create(a=1)",
        "def _rows(self):\n    return X.objects.all()\ndef g(self):\n    self._rows.delete()",
        "run.steps.filter(x=1).update(status='done')",
        "step.messages.bulk_create([])",
        "for step in run.steps.all():\n    step.save()",
        "state.save(using='default')",
        "last.delete()",
        "models.RunLock.objects.get_or_create(pk=1)",
    ],
)
def test_a_module_that_writes_to_the_ledger_is_found(code: str) -> None:
    assert writes_of(code)


@pytest.mark.parametrize(
    "code",
    [
        "model._base_manager.using(database).filter(pk=1).update(name='x')",
        "found = set(Run.objects.values_list('pk'))\nseen.update(other)",
        "rows = model._base_manager.all()\nrows.bulk_create([])",
        "digest.update(text)",
    ],
)
def test_objects_of_users_and_plain_sets_are_none_of_its_business(code: str) -> None:
    assert writes_of(code) == []
