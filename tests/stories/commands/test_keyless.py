"""Migrations without a legacy key: what cannot be told later is refused before."""

from __future__ import annotations

import pytest

from data_migration import is_a
from data_migration.models import MigrationState, RunStep
from data_migration.outcomes import RunStatus
from tests.apps.library.fixtures import Library, counts, library_fixture  # noqa: F401
from tests.apps.library.models import Member
from tests.apps.library.testing import give, migrate, show

pytestmark = pytest.mark.django_db
MEMBERS = "library.MemberMigration"


@pytest.fixture(name="keyless")
def keyless_fixture(library: Library) -> Library:
    library.set("Member", legacy_key=(), query="SELECT email FROM members ORDER BY id")
    return library


def state() -> str:
    return RunStep.objects.filter(migration=MEMBERS).latest("pk").status


class TestUpdate:
    @pytest.mark.parametrize("option", ["--update", "--full"])
    @pytest.mark.parametrize("mode", [(), ("--commit",)])
    def test_one_that_is_named_is_refused_and_nothing_changes(
        self, keyless: Library, option: str, mode: tuple[str, ...]
    ) -> None:
        assert migrate(MEMBERS, "--commit").code == 0
        before = (RunStep.objects.count(), list(MigrationState.objects.values()))
        result = migrate(MEMBERS, option, *mode)
        assert result.code == 2
        assert result.err == (
            f"CommandError: {MEMBERS} was imported without a legacy key, so nobody knows which"
            f" object a row became, and {option} would create them all again. Set search_attr to a"
            " field of library.Member that the query returns and that is different for every"
            " row.\n"
        )
        assert (RunStep.objects.count(), list(MigrationState.objects.values())) == before
        assert migrate(MEMBERS, "--check").code == 0
        assert migrate(MEMBERS, "--commit").out.endswith("Nothing to do.\n")
        assert counts()["Member"] == 4

    def test_without_labels_it_is_left_out_and_the_others_are_run(self, keyless: Library) -> None:
        assert migrate("library", "--commit").code == 0
        keyless.change("UPDATE genres SET name = 'other' WHERE id = 2")
        result = migrate("library", "--update", "--commit")
        assert result.code == 0, result.everything
        assert f"{MEMBERS} is left out: it was imported without a legacy key" in result.err
        assert MEMBERS not in result.out
        genres = RunStep.objects.filter(migration="library.GenreMigration").latest("pk")
        assert (genres.updated, genres.unchanged) == (1, 1)
        assert counts()["Member"] == 4

    def test_one_that_was_never_run_is_simply_imported(self, keyless: Library) -> None:
        result = migrate(MEMBERS, "--update", "--commit")
        assert result.code == 0, result.everything
        assert counts()["Member"] == 4

    def test_by_search_attr_it_is_updated(self, keyless: Library) -> None:
        keyless.set("Member", search_attr="email")
        assert migrate(MEMBERS, "--commit").code == 0
        result = migrate(MEMBERS, "--update", "--commit")
        assert result.code == 0, result.everything
        assert counts()["Member"] == 4

    def test_a_key_that_no_object_has_does_not_help(self, keyless: Library) -> None:
        assert migrate(MEMBERS, "--commit").code == 0
        keyless.set("Member", legacy_key="nr", query="SELECT id AS nr, email FROM members")
        keyless.set("Member", column_description={"nr": is_a(exclude=True)})
        assert migrate(MEMBERS, "--update", "--commit").code == 2
        assert counts()["Member"] == 4

    def test_one_whose_key_is_a_field_may_be_updated(self, keyless: Library) -> None:
        assert migrate(MEMBERS, "--commit").code == 0
        keyless.set("Member", legacy_key="email")
        assert migrate(MEMBERS, "--update", "--commit").code == 0
        assert counts()["Member"] == 4


class TestLimit:
    @pytest.mark.parametrize("mode", [(), ("--atomic",)])
    def test_a_part_of_it_is_not_committed(self, keyless: Library, mode: tuple[str, ...]) -> None:
        result = migrate(MEMBERS, "--commit", "--limit", "3", *mode)
        assert result.code == 2
        assert (
            f"{MEMBERS}: its rows have no legacy key, so of the first 3 (--limit) nobody could"
            " tell later which are there, and no run could go on behind them. Commit it without"
            " --limit, rehearse it with --limit, or name in legacy_key the columns that identify"
            " a row."
        ) in result.err
        assert counts()["Member"] == 0
        assert migrate(MEMBERS, "--check").code == 1
        assert migrate(MEMBERS, "--commit").code == 0
        assert counts()["Member"] == 4

    def test_a_rehearsal_of_a_part_is_fine(self, keyless: Library) -> None:
        result = migrate(MEMBERS, "--limit", "3")
        assert result.code == 0, result.everything
        assert (
            f"Only the first 3 rows of each query were read (--limit): {MEMBERS}. Without a legacy"
            " key they can be committed only as a whole, without --limit."
        ) in result.out

    def test_a_limit_that_leaves_nothing_unread_is_fine(self, keyless: Library) -> None:
        assert migrate(MEMBERS, "--commit", "--limit", "4").code == 0
        assert migrate(MEMBERS, "--check").code == 0


class TestAFailedState:
    def test_it_is_pending_and_rolling_back_is_still_refused(self, keyless: Library) -> None:
        keyless.set("Member", search_attr="email")
        assert migrate(MEMBERS, "--commit").code == 0
        keyless.set("Member", query="SELECT nothing FROM members")
        assert migrate(MEMBERS, "--update", "--commit").code == 1
        assert state() == RunStatus.FAILED
        checked = migrate(MEMBERS, "--check")
        assert checked.code == 1
        assert f"{MEMBERS}: its last run failed" in checked.out
        result = give("rollback_legacy", MEMBERS, "--no-input")
        assert result.code == 1
        assert "it has no legacy key, so the ledger does not know its objects" in result.err
        keyless.set("Member", query="SELECT email FROM members ORDER BY id")
        migrate(MEMBERS, "--commit")
        assert counts()["Member"] == 4
        assert migrate(MEMBERS, "--update", "--commit").code == 0
        assert migrate(MEMBERS, "--check").code == 0

    def test_an_update_that_changed_nothing_does_not_hide_the_objects(
        self, keyless: Library
    ) -> None:
        keyless.set("Member", search_attr="email")
        migrate(MEMBERS, "--commit")
        migrate(MEMBERS, "--update", "--commit")
        assert give("rollback_legacy", MEMBERS, "--no-input").code == 1
        migrate(MEMBERS, "--commit")
        assert Member.objects.count() == 4

    def test_of_a_keyed_one_as_well(self, library: Library) -> None:
        assert migrate(MEMBERS, "--commit").code == 0
        library.set("Member", query="SELECT nothing FROM members")
        assert migrate(MEMBERS, "--update", "--commit").code == 1
        assert migrate(MEMBERS, "--check").code == 1
        assert "failed" in show(MEMBERS).out
