import sqlite3

from django.conf import settings

from data_migration.migration import Migration, is_a

from .models import Author, Comment, Post


def dict_factory(cursor, row):
    return {column[0]: row[index] for index, column in enumerate(cursor.description)}


class BaseMigration(Migration):
    def open_db_connection(self):
        connection = sqlite3.connect(settings.LEGACY_BLOG)
        connection.row_factory = dict_factory
        return connection


class AuthorMigration(BaseMigration):
    query = "SELECT id, Username AS username, Email AS email FROM authors"
    model = Author


class CommentMigration(BaseMigration):
    query = "SELECT id, Body AS body FROM comments WHERE Spam = 0"
    model = Comment


class PostMigration(BaseMigration):
    query = """
        SELECT id, Title AS title, Body AS body, Posted AS posted, Author AS author,
               (SELECT GROUP_CONCAT(c.id) FROM comments c
                WHERE c.Post = p.id AND c.Spam = 0) AS comments
        FROM posts p
    """
    model = Post
    depends_on = [Author, Comment]
    column_description = {
        "author": is_a(Author, search_attr="id", fk=True, prefetch=False),
        "comments": is_a(Comment, search_attr="id", m2m=True, delimiter=",", prefetch=False),
    }

    def hook_before_all(self):
        self.saved = 0

    def hook_before_transformation(self, row):
        row["title"] = row["title"].strip()

    def hook_before_save(self, instance, row):
        return instance.author.username != "spammer"

    def hook_after_save(self, instance, row):
        self.saved += 1
        instance.posted = row["posted"]
        instance.save()

    def hook_after_all(self):
        Author.objects.filter(username="ann").update(email=f"{self.saved} posts")
