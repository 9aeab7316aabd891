"""The examples of the documentation run, and the tutorial can be followed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.project.docs import replay
from tests.support.paths import ROOT

EXAMPLES = ROOT / "tests" / "project" / "docs" / "examples"

pytestmark = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="the examples have a database of their own"
)


class Examples:
    """The project in which the examples run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._python("manage.py", *arguments)

    def build(self) -> None:
        self._python("legacy.py", str(self.folder)).check_returncode()
        self.manage("migrate", "--run-syncdb", "--verbosity", "0").check_returncode()

    def _python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name[:6] != "DJANGO"}
        variables = {"EXAMPLES": str(self.folder), "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, "-B", *arguments],
            cwd=EXAMPLES,
            env=kept | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """The counts of a committed run by the migration's label."""
        done = self.manage("migrate_legacy", "--commit", "--format", "json", *arguments)
        assert done.stdout, done.stderr
        return {each["migration"]: each for each in json.loads(done.stdout)["migrations"]}

    def new(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "new.sqlite3")) as database:
            return database.execute(query).fetchall()

    def change_legacy(self, statement: str) -> None:
        with closing(sqlite3.connect(self.folder / "legacy.sqlite3")) as database, database:
            database.execute(statement)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    examples = Examples(tmp_path_factory.mktemp("examples"))
    examples.build()
    done = examples.manage("migrate_legacy", "--commit")
    assert done.returncode == 1, done.stderr
    assert "1 row failed" in done.stderr
    assert "Run 1 ended: partial." in done.stderr  # the receiver of the signals page
    return examples


def test_the_attributes_shown_do_what_the_page_says(examples: Examples) -> None:
    customers = examples.new("SELECT id, name, country_id, is_vip FROM shop_customer ORDER BY id")
    assert customers == [
        (7, "Ada", "AT", 1),
        (8, "Bela", "AT", 0),
        (9, "Carlo", None, 0),
        (10, "Dora", None, 0),
        (1000001, "Zeno", None, 0),
    ]
    assert examples.new("SELECT since FROM shop_customer WHERE id = 7") == [
        ("2009-01-31 09:00:00",)
    ]
    assert examples.new("SELECT COUNT(*) FROM shop_line") == [(3,)]


def test_the_relations_shown_do_what_the_page_says(examples: Examples) -> None:
    assert examples.new("SELECT customer_id, credit FROM shop_account ORDER BY 1") == [
        (7, 12.5),
        (8, 0),
    ]
    assert examples.new("SELECT id, parent_id FROM shop_category ORDER BY id") == [
        (1, None),
        (2, 1),
        (3, 2),
    ]
    labels = """
        SELECT sku, label_id FROM shop_product_labels
        JOIN shop_product ON product_id = shop_product.id ORDER BY 1, 2
    """
    assert examples.new(labels) == [("A-1", 1), ("A-1", 3), ("A-2", 2)]
    similar = """
        SELECT a.sku, b.sku FROM shop_product_similar JOIN shop_product a ON from_product_id = a.id
        JOIN shop_product b ON to_product_id = b.id ORDER BY 1, 2
    """
    assert examples.new(similar) == [("A-1", "A-2"), ("A-3", "A-1"), ("A-3", "A-2")]
    assert examples.new("SELECT order_id, text FROM shop_remark") == [(100, "ring twice")]


def test_the_hooks_shown_do_what_the_page_says(examples: Examples) -> None:
    assert examples.new(
        "SELECT id, number, is_checked, placed_at FROM shop_order ORDER BY id"
    ) == [
        (100, "2012/100", 1, "2012-01-31 13:05:00"),
        (101, "2012/101", 0, "2012-02-01 08:00:00"),
    ]


def test_the_hook_for_failures_lets_the_other_vouchers_in(examples: Examples) -> None:
    assert examples.new("SELECT code FROM shop_voucher ORDER BY code") == [("X1",), ("X3",)]
    shown = examples.manage("show_legacy", "--messages", "shop.VoucherMigration").stdout
    assert "X2" in shown
    assert "'five'" in shown


def test_the_spec_for_the_older_package_runs(examples: Examples) -> None:
    assert examples.new("SELECT title, author_id, posted FROM blog_post") == [
        ("Hello", 1, "2014-09-01 10:00:00")
    ]
    assert examples.new("SELECT COUNT(*) FROM blog_post_comments") == [(2,)]


def test_reruns_do_what_the_page_says(examples: Examples) -> None:
    examples.change_legacy("UPDATE stand SET qty = qty - 1 WHERE nr = 'A-1'")
    examples.change_legacy("UPDATE stand SET qty = qty + 1 WHERE nr = 'A-2'")
    examples.change_legacy("UPDATE gutschein SET value = '5.50' WHERE code = 'X2'")
    assert _written(examples.run("--retry-failed")) == {"shop.VoucherMigration": (1, 0, 0)}
    assert _written(examples.run()) == {
        "shop.StockMigration": (0, 2, 1),
        "shop.LowestStockMigration": (0, 1, 2),
    }
    assert _written(examples.run("--update", "shop.VoucherMigration")) == {
        "shop.VoucherMigration": (0, 0, 3)
    }
    assert examples.manage("migrate_legacy", "--check").returncode == 0


def _written(migrations: dict[str, dict[str, Any]]) -> dict[str, tuple[int, int, int]]:
    """Created, updated and unchanged of each migration that was run."""
    return {
        label: (each["created"], each["updated"], each["unchanged"])
        for label, each in migrations.items()
        if each["status"] != "skipped"
    }


@pytest.mark.slow
@pytest.mark.parametrize(("page", "least"), [("tutorial", 16), ("first-patch", 16)])
def test_the_tutorials_can_be_followed_word_by_word(tmp_path: Path, page: str, least: int) -> None:
    _follow(page, least, replay.Reader(tmp_path))


@pytest.mark.slow
def test_the_first_sync_can_be_followed_word_by_word(tmp_path: Path, kinto_server: str) -> None:
    _follow("first-sync", 14, replay.Reader(tmp_path, kinto_server))


def _follow(page: str, least: int, reader: replay.Reader) -> None:
    followed = 0
    for block in replay.blocks(ROOT / "docs" / f"{page}.rst"):
        if block.language != "console":
            if block.caption:
                reader.save(block)
            continue
        for command in replay.commands(block):
            promised = replay.same("\n".join(command.output))
            assert replay.same(reader.run(command.line)) == promised, f"$ {command.line}"
            followed += 1
    assert followed >= least
