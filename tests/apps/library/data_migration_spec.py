"""What the tests of the engine's frame run; they change single attributes and hooks of it."""

from __future__ import annotations

from data_migration import BaseMigration, is_a

from .models import Author, Book, Genre, Member


class AuthorMigration(BaseMigration):
    query = "SELECT id, name FROM authors ORDER BY id"
    model = Author


class GenreMigration(BaseMigration):
    query = "SELECT id, name FROM genres ORDER BY id"
    model = Genre


class BookMigration(BaseMigration):
    query = "SELECT id, title, pages, author_id AS author, genres FROM books ORDER BY id"
    model = Book
    depends_on = [Author]
    column_description = {
        "author": is_a(Author, search_attr="id", fk=True),
        "genres": is_a(Genre, search_attr="id", m2m=True, delimiter=",", skip_missing=True),
    }


class MemberMigration(BaseMigration):
    query = "SELECT id, email FROM members ORDER BY id"
    model = Member
