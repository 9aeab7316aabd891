"""A ledger with rows of the first release, brought up to date: everything reads as it did."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from data_migration.exceptions import LedgerError
from data_migration.fields.digests import FieldDigests
from data_migration.launch import jobs
from data_migration.ledger import (
    IMPORTS,
    PATCHES,
    Ledger,
    Link,
    LinkBook,
    LinkLookup,
    NewStep,
    active_run,
    lock_holder,
    open_keys,
)
from data_migration.ledger.claims import claim_range
from data_migration.ledger.deferrals import DeferralBook, open_columns
from data_migration.ledger.images import Images, former_values
from data_migration.ledger.lanes import connector_lane
from data_migration.ledger.outgoing import (
    Accounts,
    Intent,
    Known,
    OutgoingBook,
    RemoteStates,
    outgoing,
)
from data_migration.models import MigrationState, PatchRecord, Run, RunLock, StepRange
from data_migration.outcomes import Action, LinkKind, Mode, RunKind, RunStatus, Unsettled
from data_migration.rows.keys import identify
from data_migration.undo import Selection
from data_migration.undo.selection import parts_of
from tests.apps.library.fixtures import Library, library_fixture  # noqa: F401
from tests.apps.library.models import Author
from tests.apps.library.testing import show, timeless

pytestmark = pytest.mark.django_db(transaction=True)

FIRST = [("data_migration", "0001_initial")]
AUTHOR, BOOK, GENRE = (f"library.{name}Migration" for name in ("Author", "Book", "Genre"))
NOW = timezone.now().replace(microsecond=0)


def migrate_to(targets: list[tuple[str, str]]) -> Any:
    """The models as they are with these schema migrations."""
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return executor.loader.project_state(targets).apps


def upgrade() -> None:
    migrate_to(MigrationExecutor(connection).loader.graph.leaf_nodes("data_migration"))


@pytest.fixture
def first() -> Iterator[Any]:
    """The models of the first release, over its tables; the newest tables come back afterwards."""
    try:
        yield migrate_to(FIRST)
    finally:
        upgrade()


def key_of(key: Any) -> dict[str, Any]:
    key_hash, text = identify(key)
    return {"key_hash": uuid.UUID(key_hash), "key": text}


class Old:
    """Rows of every table, as the first release wrote them."""

    def __init__(self, models: Any) -> None:
        self.models = models
        self.runs = {
            "import": self.run("done", "commit", ended=True, options={"labels": ["library"]}),
            "rehearsal": self.run("failed", "rehearsal", ended=True),
            "rollback": self.run("done", "rollback", ended=True, options={"labels": []}),
            "waiting": self.run(
                "queued",
                "rollback",
                options={"labels": ["library"], "run": None, "keys": None, "force": False},
            ),
            "atomic": self.run("interrupted", "atomic", ended=True, error="stopped"),
            "dead": self.run("running", "commit", host="gone", process=7),
        }
        self.digests = FieldDigests(Author, database="default")
        self.states = {
            AUTHOR: self.make(
                "MigrationState",
                label=AUTHOR,
                fingerprint="old spec",
                is_read=True,
                high_water='"2020-01-01"',
                layouts={str(self.digests.layout): list(self.digests.names)},
            ),
            BOOK: self.make("MigrationState", label=BOOK, pass_run=self.runs["dead"].pk),
            GENRE: self.make("MigrationState", label=GENRE),
        }
        self.author = Author.objects.create(name="Ada")
        self.steps = {
            "import": self.step("import", AUTHOR, "done", read=2, created=1, failed=1),
            "rehearsal": self.step("rehearsal", AUTHOR, "failed", read=9, failed=9),
            "genre": self.step("import", GENRE, "done", position=2, read=1, created=1),
            "rollback": self.step("rollback", GENRE, "pending", removed=1),
            "dead": self.step("dead", BOOK, "running", read=4, created=4, split_into=2),
        }
        for number, status in ((1, "done"), (2, "pending")):
            self.make(
                "StepRange",
                step=self.steps["dead"],
                number=number,
                status=status,
                column="id",
                lower=None if number == 1 else "100",
                upper="100" if number == 1 else None,
                position="99" if number == 1 else None,
                read=4 if number == 1 else 0,
                fingerprint="old spec",
            )
        self.make(
            "RowError",
            step=self.steps["import"],
            migration=self.states[AUTHOR],
            kind="failure",
            row_number=2,
            is_open=True,
            column="name",
            value="'x'",
            cause="too long",
            pattern="too long",
            **key_of("01581"),
        )
        self.link(
            AUTHOR, 1, str(self.author.pk), self.digests.packed([vars(self.author)], [{}])[0]
        )
        self.link(AUTHOR, ("DE", 7), None, b"", kind=LinkKind.SKIPPED)
        self.make(
            "BeforeImage",
            migration=self.states[AUTHOR],
            key_hash=key_of(1)["key_hash"],
            run=self.runs["import"].pk,
            object_pk=str(self.author.pk),
            values={"name": "Augusta"},
            m2m={"books": ["1", "2"]},
            link={**self.former(), "written": self.former()["written"].hex()},
            deferred=[{"column": "boss", "value": "9", "row_number": 3}],
        )
        self.make(
            "DeferredRelation",
            migration=self.states[AUTHOR],
            column="boss",
            object_pk=str(self.author.pk),
            value="9",
            row_number=3,
            **key_of(1),
        )
        if connection.vendor == "postgresql":  # no other test has drawn from it
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE data_migration_runlock ALTER COLUMN id RESTART")
        self.make("RunLock", pk=1, run=self.runs["dead"])

    def make(self, model: str, **fields: Any) -> Any:
        return self.models.get_model("data_migration", model).objects.create(**fields)

    def run(self, status: str, mode: str, *, ended: bool = False, **fields: Any) -> Any:
        times = {"started_at": NOW, "finished_at": NOW if ended else None}
        times = {"queued_at": NOW} if status == "queued" else times
        beat = NOW - timedelta(days=1)
        return self.make("Run", status=status, mode=mode, heartbeat=beat, **{**times, **fields})

    def step(self, run: str, label: str, status: str, *, position: int = 1, **fields: Any) -> Any:
        times = {"started_at": NOW, "finished_at": None if status == "running" else NOW}
        run_row, place = self.runs[run], {"migration": label, "position": position}
        return self.make(
            "RunStep", run=run_row, status=status, has_key=True, **times, **place, **fields
        )

    def link(self, label: str, key: Any, pk: str | None, written: bytes, **fields: Any) -> None:
        values = {"checksum": -5, "run": self.runs["import"].pk, "kind": LinkKind.CREATED}
        values |= {"migration": self.states[label], "object_pk": pk, "written": written}
        self.make("RowLink", **{**values, **key_of(key), **fields})

    def former(self) -> dict[str, Any]:
        """The link as it was before the import, in the order of an image's document."""
        key_hash, text = identify(1)
        return {
            "key_hash": key_hash,
            "key": text,
            "object_pk": str(self.author.pk),
            "checksum": 4,
            "written": b"\x01\x02",
            "run": 0,
            "kind": LinkKind.ADOPTED.value,
            "unsettled": Unsettled.WARNED.value,
        }


@pytest.fixture
def old(first: Any, library: Library) -> Old:
    made = Old(first)
    upgrade()
    return made


def test_every_run_has_the_kind_that_its_mode_told(old: Old) -> None:
    kinds = {name: Run.objects.get(pk=run.pk) for name, run in old.runs.items()}

    rollbacks = {name for name, run in kinds.items() if run.kind == RunKind.ROLLBACK}
    assert rollbacks == {"rollback", "waiting"}
    assert {run.kind for name, run in kinds.items() if name not in rollbacks} == {RunKind.IMPORT}
    assert {name: run.mode for name, run in kinds.items()} == {
        name: run.mode for name, run in old.runs.items()
    }
    assert kinds["import"].labels == ["library"]
    with pytest.raises(LedgerError, match="is a rollback itself"):
        parts_of(
            Selection(run=kinds["rollback"].pk), jobs.whole_plan("default"), Ledger("default")
        )


def test_states_and_messages_read_as_they_did(old: Old) -> None:
    ledger = Ledger("default")
    assert {label: (step.pk, step.current_status) for label, step in ledger.states().items()} == {
        AUTHOR: (old.steps["import"].pk, RunStatus.DONE),
        GENRE: (old.steps["rollback"].pk, RunStatus.PENDING),
        BOOK: (old.steps["dead"].pk, RunStatus.INTERRUPTED),
    }
    assert (ledger.finished(), ledger.failed()) == (set(), {AUTHOR})
    assert ledger.applied_fingerprints() == {AUTHOR: "old spec"}
    state = MigrationState.objects.get(label=AUTHOR)
    assert (state.high_water, state.pass_run) == ('"2020-01-01"', None)
    assert open_keys(state, "default") == {identify("01581")[0]: '"01581"'}
    assert [message.cause for message in ledger.messages([AUTHOR])] == ["too long"]
    assert lock_holder("default") is None


def test_links_images_and_open_relations_read_as_they_did(old: Old) -> None:
    state = MigrationState.objects.get(label=AUTHOR)
    book, (key_hash, _) = LinkBook(state, database="default"), identify(1)
    link = book.find([key_hash])[key_hash]
    assert (link.object_pk, link.checksum, link.run) == (
        str(old.author.pk),
        -5,
        old.runs["import"].pk,
    )
    assert book.written(link)["name"] == old.digests.of("name", old.author)
    assert {each.key: each.kind for each in book.all()} == {
        "1": LinkKind.CREATED,
        '["DE", 7]': LinkKind.SKIPPED,
    }
    found = LinkLookup("default")([AUTHOR], [1, ("DE", 7)])
    assert found == {1: [str(old.author.pk)]}

    (image,) = Images(state, database="default").all()
    assert (image.link, image.m2m) == (Link(**old.former()), {"books": ["1", "2"]})
    assert former_values(Author, image.values) == {"name": "Augusta"}
    assert image.deferred == DeferralBook(state, database="default").find([key_hash])[key_hash]
    assert open_columns("default") == {AUTHOR: ["boss"]}


def test_ranges_can_be_gone_on_with(old: Old) -> None:
    done, waiting = StepRange.objects.order_by("number")
    assert (done.status, done.position, done.read) == ("done", "99", 4)
    row = claim_range(waiting.pk, database="default")
    assert row is not None
    assert (row.step.run.kind, row.lower, row.upper) == (RunKind.IMPORT, "100", None)


def test_the_commands_tell_what_they_told(old: Old) -> None:
    runs = [line.split()[:3] for line in timeless(show("--runs").out).splitlines()[1:7]]
    status = {"dead": "interrupted"}
    assert runs == [
        [str(run.pk), run.mode, status.get(name, run.status)]
        for name, run in reversed(old.runs.items())
    ]
    states = {line.split()[0]: line.split()[1] for line in show("library").out.splitlines()[1:5]}
    assert states == {
        AUTHOR: "partial",  # one of its relations is open
        BOOK: "interrupted",
        GENRE: "pending",
        "library.MemberMigration": "pending",
    }
    assert '"01581"' in show(AUTHOR, "--messages").out


def test_a_rollback_that_was_queued_before_is_executed(old: Old) -> None:
    done = jobs.execute(old.runs["waiting"].pk, "default")

    assert (done.run.status, done.run.kind, done.run.mode) == (
        RunStatus.DONE,
        RunKind.ROLLBACK,
        Mode.ROLLBACK,
    )
    assert Run.objects.get(pk=old.runs["dead"].pk).status == RunStatus.INTERRUPTED


def test_all_runs_and_their_lock_are_in_the_lane_of_imports(old: Old) -> None:
    assert set(Run.objects.values_list("lane", flat=True)) == {IMPORTS}
    lock = RunLock.objects.get()
    assert (lock.lane, lock.run_id) == (IMPORTS, old.runs["dead"].pk)
    assert active_run("default").pk == old.runs["waiting"].pk
    assert active_run("default", PATCHES) is None
    assert not PatchRecord.objects.exists()


def test_a_patch_beside_what_was_there_takes_a_lock_of_its_own(old: Old) -> None:
    begun = {"kind": RunKind.PATCH, "mode": Mode.COMMIT, "options": {}}

    patching = Ledger("default", PATCHES).start_run((), **begun)

    assert lock_holder("default", PATCHES) == patching
    assert Run.objects.get(pk=old.runs["dead"].pk).status == RunStatus.RUNNING, "of another lane"
    importing = Ledger("default").start_run((), **{**begun, "kind": RunKind.IMPORT})
    assert Run.objects.get(pk=old.runs["dead"].pk).status == RunStatus.INTERRUPTED
    assert dict(RunLock.objects.values_list("lane", "run")) == {
        IMPORTS: importing.pk,
        PATCHES: patching.pk,
    }


def test_a_sync_beside_what_was_there_has_memory_and_a_lock_of_its_own(old: Old) -> None:
    begun = {"kind": RunKind.SYNC, "mode": Mode.COMMIT, "options": {}}
    labels = [NewStep("library.AuthorToAtlas@atlas"), NewStep("push:library.AuthorToAtlas@atlas")]

    run = Ledger("default", connector_lane("atlas")).start_run(labels, **begun)

    assert lock_holder("default", connector_lane("atlas")) == run
    assert Run.objects.get(pk=old.runs["dead"].pk).status == RunStatus.RUNNING, "of another lane"
    state = MigrationState.objects.get(label="library.AuthorToAtlas@atlas")
    assert (state.pass_mark, MigrationState.objects.get(label=BOOK).pass_mark) == (None, None)
    pk = str(old.author.pk)
    OutgoingBook(state, database="default").plan(
        [Intent(pk, Action.CREATE, 5)], run=run.pk, former={}
    )
    RemoteStates(state, database="default").remember({pk: Known(b"1234", "v1")})
    assert [each.object_pk for each in outgoing(database="default")] == [pk]
    assert Accounts("default").waits("atlas") is None


def test_there_is_a_way_back(first: Any, library: Library) -> None:
    old = Old(first)
    upgrade()
    again = migrate_to(FIRST)

    rows = again.get_model("data_migration", "Run").objects.order_by("pk")
    assert [run.mode for run in rows] == [run.mode for run in old.runs.values()]


def test_a_ledger_that_was_not_brought_up_to_date_says_how(first: Any) -> None:
    with pytest.raises(LedgerError) as refused:
        Ledger("default")

    assert str(refused.value) == (
        "The ledger in database 'default' is of an older version: its schema lacks 0002_run_kind,"
        " 0003_rowerror_handled, 0004_patches, 0005_syncs."
        " Bring it up to date with: manage.py migrate data_migration"
    )
    upgrade()
    Ledger("default")
