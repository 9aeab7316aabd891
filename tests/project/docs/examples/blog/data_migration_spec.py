import os
import sqlite3

from data_migration.migration import Migration, is_a

from .models import Author, Comment, Post


class BaseMigration(Migration):
    @classmethod
    def open_db_connection(cls):
        folder = os.environ.get("EXAMPLES", ".")
        connection = sqlite3.connect(os.path.join(folder, "legacy.sqlite3"))
        connection.row_factory = lambda cursor, row: {
            column[0]: row[number] for number, column in enumerate(cursor.description)
        }
        return connection


class AuthorMigration(BaseMigration):
    query = "SELECT id, name FROM author"
    model = Author


class CommentMigration(BaseMigration):
    query = "SELECT id, text FROM comment"
    model = Comment


class PostMigration(BaseMigration):
    query = """
        SELECT id, title, author, posted,
               (SELECT GROUP_CONCAT(id) FROM comment WHERE comment.post = post.id) AS comments
        FROM post
    """
    model = Post
    depends_on = [Author, Comment]
    column_description = {
        "author": is_a(Author, search_attr="id", fk=True, prefetch=False),
        "comments": is_a(Comment, search_attr="id", m2m=True, delimiter=",", prefetch=False),
    }

    @classmethod
    def hook_after_save(cls, instance, row):
        # Was needed there for auto_now_add; does no harm here.
        instance.posted = row["posted"]
        instance.save()
