"""From a form to what is asked for, and to the command that does the same."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict

from data_migration.admin.intents import Action, Intent, IntentForm
from data_migration.management.commands import migrate_legacy, rollback_legacy
from data_migration.options import MaxErrors
from data_migration.outcomes import OnError


def read(query: str) -> Intent:
    form = IntentForm(QueryDict(query))
    assert form.is_valid(), form.errors
    return form.intent


@pytest.mark.parametrize(
    "query",
    [
        "action=rehearse",
        "action=run&label=a&label=b.C&limit=5&atomic=on",
        "action=update&max_errors=5%25",
        "action=retry&on_error=continue&failures=1,2,3",
        "action=rollback&run=7&force=on",
    ],
)
def test_the_page_in_between_asks_for_the_same(query: str) -> None:
    intent = read(query)
    again = QueryDict(mutable=True)
    for name, value in intent.fields:
        again.appendlist(name, str(value))
    assert read(again.urlencode()) == intent


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 19, "x", "²", "-1"])
@pytest.mark.parametrize("name", ["limit", "run", "failures"])
def test_a_number_that_is_none_or_too_large_is_refused(name: str, number: str) -> None:
    form = IntentForm(QueryDict(f"action=retry&{name}={number}"))
    assert list(form.errors) == [name]


def test_one_failure_that_is_none_does_not_leave_the_others() -> None:
    assert not IntentForm(QueryDict("action=retry&failures=1,x")).is_valid()
    assert read("action=retry&failures=1,2").failures == (1, 2)


def test_a_rehearsal_is_never_atomic() -> None:
    assert read("action=rehearse&atomic=on").mode == "rehearsal"


def test_a_label_counts_once_and_what_is_shown_counts_where_none_is_ticked() -> None:
    assert read("action=run&label=a&label=a&shown=b").labels == ("a",)
    assert read("action=run&shown=b&shown=c").labels == ("b", "c")


@pytest.mark.parametrize(
    ("intent", "command"),
    [
        ({"action": Action.REHEARSE}, "migrate_legacy"),
        ({"action": Action.RUN, "labels": ("a",)}, "migrate_legacy a --commit"),
        (
            {"action": Action.RUN, "atomic": True, "limit": 3},
            "migrate_legacy --limit 3 --commit --atomic",
        ),
        (
            {"action": Action.UPDATE, "on_error": OnError.CONTINUE},
            "migrate_legacy --update --on-error continue --commit",
        ),
        (
            {"action": Action.RETRY, "max_errors": MaxErrors(percent=5)},
            "migrate_legacy --retry-failed --max-errors 5% --commit",
        ),
        ({"action": Action.ROLL_BACK, "run": 3, "force": True}, "rollback_legacy --run 3 --force"),
    ],
)
def test_the_command_does_the_same(intent: dict[str, Any], command: str) -> None:
    told = Intent(**intent).command
    assert told == f"manage.py {command}"
    name, *arguments = command.split()
    module = migrate_legacy if name == "migrate_legacy" else rollback_legacy
    parsed = vars(module.Command().create_parser("manage.py", name).parse_args(arguments))
    if name == "migrate_legacy":
        options = Intent(**intent).run_options("default")
        for option in ("limit", "update", "retry_failed"):
            assert parsed[option] == getattr(options, option)
        assert parsed["commit"] == (options.mode != "rehearsal")
    else:
        assert (parsed["run"], parsed["force"]) == (3, True)
