"""What a test that commits leaves behind: nothing, and what Django makes for each model stays."""

from __future__ import annotations

import unittest
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.test import TransactionTestCase

from tests.apps.shop.models import Category

pytestmark = pytest.mark.django_db(transaction=True)


def write_rows_that_refer_to_each_other() -> None:
    first = Category.objects.create(name="a")
    first.parent = Category.objects.create(name="b", parent=first)
    first.save()


def write_a_permission() -> None:
    kind = ContentType.objects.get_for_model(Category)
    Permission.objects.create(content_type=kind, codename="fly", name="Can fly")
    Category.objects.create(name="a")


def delete_a_content_type() -> None:
    ContentType.objects.get_for_model(Category).delete()


def rename_a_permission() -> None:
    Permission.objects.filter(codename="add_category").update(codename="fly")


def made() -> list[tuple[str, str, str]]:
    names = ("content_type__app_label", "content_type__model", "codename")
    return sorted(Permission.objects.values_list(*names))


@pytest.mark.parametrize(
    "write",
    [
        write_rows_that_refer_to_each_other,
        write_a_permission,
        delete_a_content_type,
        rename_a_permission,
    ],
)
def test_nothing_of_it_is_left(write: Callable[[], None]) -> None:
    class Case(TransactionTestCase):
        def test(self) -> None:
            write()

    before = made()
    done = unittest.TestSuite([Case("test")]).run(unittest.TestResult())
    assert (done.testsRun, done.errors, done.failures) == (1, [], [])
    assert made() == before
    assert not Category.objects.exists()
