"""The blog of the documentation, in both styles of writing hooks."""

from __future__ import annotations

from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.core.management import call_command

from data_migration.models import RunStep
from tests.support.legacy import sqlite

STYLES = pytest.mark.parametrize("app", ["blog", "blog_classic"])


@pytest.fixture(autouse=True)
def old_blog(sqlite_file: Path, settings: LazySettings) -> Path:
    """The legacy blog, where the specs find it."""
    with closing(sqlite(sqlite_file)) as connection:
        connection.executescript("""
            CREATE TABLE authors (id INTEGER PRIMARY KEY, Username TEXT, Email TEXT);
            CREATE TABLE posts (id INTEGER PRIMARY KEY, Title TEXT, Body TEXT, Posted TEXT,
                                Author INTEGER);
            CREATE TABLE comments (id INTEGER PRIMARY KEY, Body TEXT, Post INTEGER, Spam INTEGER);
            INSERT INTO authors VALUES (1, 'ann', 'ann@example.org'), (2, 'Jörg', 'j@example.org'),
                                       (3, 'spammer', 's@example.org');
            INSERT INTO posts VALUES
                (10, ' Hello ', 'World', '2009-05-01 10:00:00+00:00', 1),
                (11, 'Grüße', 'Straße', '2010-06-02 11:30:00+00:00', 2),
                (12, 'Buy', 'now', '2011-07-03 12:00:00+00:00', 3),
                (13, 'Lonely', 'No comment', '2012-08-04 13:00:00+00:00', 1);
            INSERT INTO comments VALUES (1, 'first', 10, 0), (2, 'second', 10, 0),
                                        (3, 'cheap', 10, 1), (4, 'schön', 11, 0);
        """)
    settings.LEGACY_BLOG = str(sqlite_file)
    return sqlite_file


def migrate(app: str, *options: str) -> str:
    stdout = StringIO()
    call_command("migrate_legacy", app, "--commit", *options, stdout=stdout, no_progress=True)
    return stdout.getvalue()


def contents(app: str) -> dict[str, list[Any]]:
    """Everything in the app's tables, the keys of join rows left out."""
    post, author, comment = (apps.get_model(app, n) for n in ("Post", "Author", "Comment"))
    links = post.comments.through.objects.values_list("post_id", "comment_id")
    return {
        "authors": list(author.objects.order_by("id").values_list("id", "username", "email")),
        "comments": list(comment.objects.order_by("id").values_list("id", "body")),
        "posts": [
            (id, title, body, posted.isoformat(), author_id)
            for id, title, body, posted, author_id in post.objects.order_by("id").values_list(
                "id", "title", "body", "posted", "author_id"
            )
        ],
        "links": sorted(links),
    }


@STYLES
@pytest.mark.django_db
def test_the_blog_arrives(app: str) -> None:
    migrate(app)
    assert contents(app) == {
        "authors": [
            (1, "ann", "3 posts"),
            (2, "Jörg", "j@example.org"),
            (3, "spammer", "s@example.org"),
        ],
        "comments": [(1, "first"), (2, "second"), (4, "schön")],
        "posts": [
            (10, "Hello", "World", "2009-05-01T10:00:00+00:00", 1),
            (11, "Grüße", "Straße", "2010-06-02T11:30:00+00:00", 2),
            (13, "Lonely", "No comment", "2012-08-04T13:00:00+00:00", 1),
        ],
        "links": [(10, 1), (10, 2), (11, 4)],
    }


@STYLES
@pytest.mark.django_db
def test_every_row_is_counted_once(app: str) -> None:
    migrate(app)
    counted = {
        step.migration: (step.total, step.read, step.created, step.skipped)
        for step in RunStep.objects.all()
    }
    assert counted == {
        f"{app}.AuthorMigration": (3, 3, 3, 0),
        f"{app}.CommentMigration": (3, 3, 3, 0),
        f"{app}.PostMigration": (4, 4, 3, 1),
    }


@STYLES
@pytest.mark.django_db
def test_a_rehearsal_keeps_nothing(app: str) -> None:
    call_command("migrate_legacy", app, stdout=StringIO(), no_progress=True)
    assert contents(app) == {"authors": [], "comments": [], "posts": [], "links": []}


@STYLES
@pytest.mark.django_db
def test_the_blog_is_migrated_once(app: str) -> None:
    migrate(app)
    before = contents(app)
    assert "Nothing to do." in migrate(app)
    assert contents(app) == before


@pytest.mark.django_db
def test_both_styles_give_the_same_result_one_row_at_a_time() -> None:
    migrate("blog", "--batch-size", "1")
    migrate("blog_classic")
    assert contents("blog") == contents("blog_classic")
