# ruff: noqa - written as specs for django-data-migration 0.2.1 were
from __future__ import unicode_literals

from data_migration.migration import *
from data_migration.migration import Migration, is_a
from django.conf import settings

from .models import Author, Comment, Post

import sqlite3


def dict_factory(cursor, row):
    d = {}
    for idx, col in enumerate(cursor.description):
        d[col[0]] = row[idx]
    return d


class BaseMigration(Migration):
    @classmethod
    def open_db_connection(self):
        conn = sqlite3.connect(settings.LEGACY_BLOG)
        conn.row_factory = dict_factory
        return conn


class AuthorMigration(BaseMigration):
    query = "SELECT id, Username AS username, Email AS email FROM authors;"
    model = Author


class CommentMigration(BaseMigration):
    query = "SELECT id, Body AS body FROM comments WHERE Spam = 0;"
    model = Comment


class PostMigration(BaseMigration):
    query = """
    SELECT
        id,
        Title  AS title,
        Body   AS body,
        Posted AS posted,
        Author AS author,
        (
            SELECT GROUP_CONCAT(c.id)
            FROM   comments c
            WHERE  c.Post = p.id AND c.Spam = 0
        ) AS comments
    FROM posts p;
    """
    model = Post
    depends_on = [Author, Comment]
    column_description = {
        "author": is_a(Author, search_attr="id", fk=True, prefetch=False),
        "comments": is_a(Comment, search_attr="id", m2m=True, delimiter=",", prefetch=False),
    }

    @classmethod
    def hook_before_all(self):
        self.saved = 0

    @classmethod
    def hook_before_transformation(self, row):
        row["title"] = row["title"].strip()

    @classmethod
    def hook_before_save(self, instance, row):
        if instance.author.username == "spammer":
            return False

    @classmethod
    def hook_after_save(self, instance, row):
        self.saved += 1
        instance.posted = row["posted"]
        instance.save()

    @classmethod
    def hook_after_all(self):
        author = Author.objects.get(username="ann")
        author.email = "%d posts" % self.saved
        author.save()

    @classmethod
    def hook_row_count(self, connection, cursor):
        return connection.execute("SELECT COUNT(*) AS n FROM posts").fetchone()["n"]
