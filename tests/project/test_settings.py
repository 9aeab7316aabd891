"""The tests run where they claim to run."""

from __future__ import annotations

import os

import pytest
from django.db import connection


def test_the_target_is_the_one_the_environment_names() -> None:
    assert connection.vendor == os.environ.get("DATA_MIGRATION_TEST_TARGET", "sqlite")


@pytest.mark.django_db
def test_the_test_database_is_not_the_one_the_server_was_given_with() -> None:
    assert "test" in str(connection.settings_dict["NAME"])
