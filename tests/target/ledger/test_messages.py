"""Messages are stored with their rows, and failures are open until they are mended."""

from __future__ import annotations

from typing import Any

import pytest

from data_migration.ledger import Ledger, Message, Messages, NewStep, dismiss, open_keys
from data_migration.ledger.messages import messages_of, open_failures
from data_migration.models import MigrationState, RowError, RunStep
from data_migration.outcomes import MessageKind, Mode, RunKind, RunStatus
from data_migration.rows.keys import identify

pytestmark = pytest.mark.django_db
FAILURE = MessageKind.FAILURE


def begin(label: str = "a.Kept", mode: Mode = Mode.COMMIT) -> Messages:
    """The messages of a new run's step."""
    ledger = Ledger("default")
    run = ledger.start_run([NewStep(label)], kind=RunKind.IMPORT, mode=mode, options={})
    step = run.steps.get()
    ledger.start_step(step)
    ledger.finish_run(run, RunStatus.DONE)  # so that the next one may begin
    return ledger.messages_for(step)


def about(
    number: int,
    key: object,
    cause: str = "too long",
    *,
    kind: MessageKind = FAILURE,
    column: str = "",
    value: Any = None,
) -> Message:
    """A message about the row with this number and key."""
    key_hash, text = identify(key)
    return Message(kind, cause, number, text, key_hash, column, value)


def hashes(*keys: object) -> list[str]:
    return [identify(key)[0] for key in keys]


def failing(*keys: object, label: str = "a.Kept", mode: Mode = Mode.COMMIT) -> Messages:
    """A step in which rows of these keys failed, stored."""
    messages = begin(label, mode)
    for number, key in enumerate(keys, start=1):
        messages.note(about(number, key, column="name", value="x"))
    store(messages)
    return messages


def store(messages: Messages) -> None:
    messages.save()
    messages.saved()


def open_() -> list[str]:
    return list(open_failures("default").order_by("pk").values_list("key", flat=True))


def state(label: str = "a.Kept") -> MigrationState:
    return MigrationState.objects.get(label=label)


def test_the_queue_gives_hashes_and_keys_in_the_order_of_the_rows() -> None:
    failing(9, "01581", ("DE", 7))
    begin()

    found = open_keys(state(), "default")
    assert list(found.values()) == ["9", '"01581"', '["DE", 7]']
    assert list(found) == [identify(key)[0] for key in (9, "01581", ("DE", 7))]
    assert open_keys(MigrationState.objects.create(label="a.Other"), "default") == {}


def test_a_row_that_is_handled_is_closed_when_the_messages_are_stored() -> None:
    failing(1, 2, 3)
    messages = begin()

    messages.handled(hashes(1, 3, 99))
    assert open_() == ["1", "2", "3"]
    store(messages)
    assert open_() == ["2"]


def test_a_row_that_fails_again_is_open_once() -> None:
    failing(1, 2)
    messages = begin()
    messages.note(about(1, 2, "still too long"))
    messages.handled(hashes(2))
    store(messages)

    assert open_() == ["1", "2"]
    assert open_failures("default").get(key="2").cause == "still too long"


def test_what_was_rolled_back_stays_open_once_whether_it_failed_again_or_not() -> None:
    failing(1, 2)
    messages = begin()
    messages.note(about(1, 2, "still too long"))
    messages.note(about(2, 1, "odd", kind=MessageKind.WARNING))
    messages.handled(hashes(1, 2))
    messages.keep_failures_only()
    store(messages)

    assert open_() == ["1", "2"]
    assert RowError.objects.filter(kind=MessageKind.WARNING).count() == 0


def test_storing_may_be_repeated_after_a_rollback() -> None:
    failing(1)
    messages = begin()
    messages.handled(hashes(1))
    messages.note(about(2, 2, "odd", kind=MessageKind.WARNING))
    messages.save()
    RowError.objects.filter(kind=MessageKind.WARNING).delete()
    RowError.objects.update(is_open=True)

    store(messages)
    assert open_() == []
    assert RowError.objects.filter(kind=MessageKind.WARNING).count() == 1
    store(messages)
    assert RowError.objects.filter(kind=MessageKind.WARNING).count() == 1


def test_a_rehearsal_closes_and_opens_nothing() -> None:
    failing(1)
    messages = begin(mode=Mode.REHEARSAL)
    messages.handled(hashes(1))
    messages.note(about(2, 2, "too long"))
    store(messages)

    assert open_() == ["1"]
    assert RowError.objects.count() == 2


def test_one_migration_leaves_the_queue_of_another_alone() -> None:
    failing(1, label="a.Kept")
    failing(1, label="a.Other")
    messages = begin("a.Other")
    messages.handled(hashes(1))
    store(messages)
    assert list(open_failures("default").values_list("migration__label", flat=True)) == ["a.Kept"]

    messages.close_all()
    assert open_() == ["1"]


def test_close_takes_the_named_keys_and_close_all_every_one() -> None:
    failing(*range(1200))
    messages = begin()

    messages.close([identify(key)[0] for key in range(1100)])
    assert len(open_()) == 100
    messages.close_all()
    assert open_() == []


def test_failures_that_are_dismissed_are_closed_and_counted() -> None:
    failing(1, 2, 3)
    first, second, _ = RowError.objects.order_by("pk")

    assert dismiss([first.pk, second.pk], database="default") == 2
    assert dismiss([first.pk], database="default") == 0
    assert open_() == ["3"]


def test_the_queue_can_be_asked_for_some_messages() -> None:
    failing(1, 2, 3)
    chosen = RowError.objects.filter(key__in=["1", "3"]).values_list("pk", flat=True)

    assert [*open_keys(state(), "default", list(chosen)).values()] == ["1", "3"]


def test_a_message_has_the_pattern_of_its_cause() -> None:
    messages = begin()
    messages.note(about(1, 1, "id = 7 matches no a.B", column="x", value=7))
    store(messages)

    assert RowError.objects.get().pattern == "id = … matches no a.B"


def test_a_failure_without_a_key_waits_for_a_run_that_reads_every_row() -> None:
    messages = begin()
    messages.note(Message(FAILURE, "too long", 1))
    store(messages)

    assert open_keys(state(), "default") == {}
    assert open_() == [""]


def test_what_no_database_takes_is_spelled_out_in_the_cause() -> None:
    messages = begin()
    messages.note(about(1, 1, "“\x00\ud800 é” is no number", column="n", value="\x00"))
    store(messages)

    assert RowError.objects.get().cause == "“\\x00\\ud800 é” is no number"


def test_a_cause_that_quotes_a_long_value_is_short() -> None:
    messages = begin()
    value = "n/a" * 1_000_000
    messages.note(about(1, 1, f"“{value}” value must be a number.", column="n", value=value))
    messages.note(about(2, 2, "y" * 3_000_000))
    store(messages)

    first, second = RowError.objects.order_by("pk")
    assert first.pattern == "“…” value must be a number."
    assert first.cause == f"“{first.value.strip(chr(39))}” value must be a number."
    assert len(first.cause) < 600
    assert len(second.cause) == 2000


def test_long_columns_are_cut_and_values_are_shown_as_people_read_them() -> None:
    messages = begin()
    messages.note(about(1, 1, column="c" * 300))
    messages.note(about(2, 2, value="not shown"))
    store(messages)

    assert list(RowError.objects.values_list("column", "value")) == [("c" * 255, "NULL"), ("", "")]


class TestMessagesOf:
    def told(self, **conditions: str) -> list[tuple[str, str]]:
        found = messages_of(["a.Kept", "a.Other"], database="default", **conditions)
        return sorted((message.step.migration, message.key) for message in found)

    def test_are_those_of_the_last_run_and_what_is_open_of_others(self) -> None:
        failing(1, 2)
        closed = begin()
        closed.handled(hashes(1))
        closed.note(about(3, 3, "odd", kind=MessageKind.WARNING))
        store(closed)
        failing(8, label="a.Other")

        assert self.told() == [("a.Kept", "2"), ("a.Kept", "3"), ("a.Other", "8")]
        assert list(messages_of(["a.None"], database="default")) == []

    def test_of_a_row_that_the_last_run_speaks_of_are_not_told_twice(self) -> None:
        failing(1)
        failing(1, mode=Mode.REHEARSAL)

        assert self.told() == [("a.Kept", "1")]
        assert RunStep.objects.count() == 2

    def test_can_be_asked_by_kind_and_by_key(self) -> None:
        messages = begin()
        for number, key in enumerate((7, "7", "seven"), start=1):
            messages.note(about(number, key, "x"))
        messages.note(about(4, 7, "x", kind=MessageKind.CONFLICT))
        store(messages)

        assert len(self.told(kind="failure")) == 3
        assert self.told(kind="conflict") == [("a.Kept", "7")]
        assert [key for _, key in self.told(key="7", kind="failure")] == ['"7"', "7"]
        assert [key for _, key in self.told(key="seven")] == ['"seven"']
        assert [key for _, key in self.told(key='"7"')] == ['"7"']
        assert self.told(key="nobody") == []

    @pytest.mark.parametrize("key", ["a\\b", 'say "x"', "\x00", "\udcff", "é\n"])
    def test_of_a_key_with_odd_characters_are_found(self, key: str) -> None:
        failing(key, "other")
        assert len(self.told(key=key)) == 1
