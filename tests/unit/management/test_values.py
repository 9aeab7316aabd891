"""What ``call_command()`` gives as values is read as the command line reads its words."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command, load_command_class

from data_migration.management.values import read_values

COMMANDS = ("migrate_legacy", "rollback_legacy", "show_legacy", "prune_legacy")


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        ("migrate_legacy", {"max_errors": "many"}, "--max-errors takes a number or a percentage"),
        ("migrate_legacy", {"max_errors": [5]}, "--max-errors takes one value, not [5]."),
        ("migrate_legacy", {"on_error": "bogus"}, "--on-error is one of stop, continue, not"),
        ("migrate_legacy", {"on_error": True}, "--on-error is one of stop, continue, not True"),
        ("migrate_legacy", {"exclude": 5}, "--exclude takes a list of texts, not 5."),
        ("migrate_legacy", {"exclude": ["shop", None]}, "--exclude takes one value, not None."),
        ("migrate_legacy", {"exclude": "shpo"}, "'shpo'"),
        ("migrate_legacy", {"commit": "no"}, "--commit takes True or False, not 'no'."),
        ("migrate_legacy", {"update": 1}, "--update takes True or False, not 1."),
        (
            "migrate_legacy",
            {"limit": "ten"},
            "--limit takes a whole number above zero",
        ),
        ("migrate_legacy", {"limit": -1}, "--limit takes a whole number above zero, not '-1'."),
        ("migrate_legacy", {"batch_size": 2.5}, "--batch-size takes a whole number above zero"),
        ("migrate_legacy", {"workers": True}, "--workers takes a whole number above zero"),
        ("migrate_legacy", {"format": "xml"}, "--format is one of text, json, not 'xml'."),
        ("migrate_legacy", {"verbosity": 9}, "--verbosity is one of 0, 1, 2, 3, not 9."),
        ("migrate_legacy", {"verbosity": "x"}, "--verbosity cannot be 'x'."),
        ("rollback_legacy", {"run": "last"}, "--run takes a whole number above zero, not 'last'."),
        ("rollback_legacy", {"run": 1, "keys": "5"}, "--run and --keys exclude each other"),
        ("rollback_legacy", {"no_input": "yes"}, "--no-input takes True or False, not 'yes'."),
        ("show_legacy", {"kind": "error"}, "--kind is one of failure, warning"),
        ("show_legacy", {"runs": True, "messages": True}, "--runs and --messages exclude"),
        ("prune_legacy", {"days": 0}, "--days takes a whole number above zero, not '0'."),
    ],
)
@pytest.mark.django_db
def test_a_value_that_the_command_line_would_refuse(
    command: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(CommandError) as refused:
        call_command(command, **options)
    assert said in str(refused.value)
    assert refused.value.returncode == 2


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ({"max_errors": 5}, {"max_errors": "5"}),
        ({"max_errors": "5%"}, {"max_errors": "5%"}),
        ({"exclude": "shop"}, {"exclude": ["shop"]}),
        ({"exclude": ("shop", "blog")}, {"exclude": ["shop", "blog"]}),
        ({"exclude": None}, {"exclude": []}),
        ({"labels": "shop.A"}, {"labels": ["shop.A"]}),
        ({"limit": 10}, {"limit": 10}),
        ({"limit": "10"}, {"limit": 10}),
        ({"on_error": "continue"}, {"on_error": "continue"}),
        ({"verbosity": "2"}, {"verbosity": 2}),
        ({"commit": None}, {"commit": False}),
    ],
)
def test_a_value_that_the_command_line_has_a_word_for(
    options: dict[str, Any], read: dict[str, Any]
) -> None:
    command = load_command_class("data_migration", "migrate_legacy")
    assert read_values(command.create_parser("manage.py", "migrate_legacy"), options) == read


@pytest.mark.parametrize("name", COMMANDS)
def test_what_the_command_line_gives_is_read_again_as_it_is(name: str) -> None:
    parser = load_command_class("data_migration", name).create_parser("manage.py", name)
    options = vars(parser.parse_args([]))
    assert read_values(parser, options) == options
