from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from testapp.demo import files
from tests.support.legacy import sqlite


def write(path: Path) -> None:
    with closing(sqlite(path)) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER)")


def tables(path: Path) -> int:
    with closing(sqlite(path)) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0])


def test_earlier_file_of_the_demo_is_replaced_by_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "demo.sqlite3"
    files.create(path)
    write(path)
    leftover = Path(f"{path}-journal")
    leftover.touch()
    files.create(path)
    assert tables(path) == 0
    assert not leftover.exists()


def test_empty_file_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "demo.sqlite3"
    path.touch()
    files.create(path)
    files.check(path)
    assert path.stat().st_size > 0


def test_other_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "demo.sqlite3"
    write(path)
    with pytest.raises(files.NotOurs, match=r"not made by the demo.*DEMO_DATABASE"):
        files.create(path)
    assert tables(path) == 1


def test_text_file_and_folder_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("keep me")
    for path in (text, tmp_path):
        with pytest.raises(files.NotOurs):
            files.create(path)
    assert text.read_text() == "keep me"
