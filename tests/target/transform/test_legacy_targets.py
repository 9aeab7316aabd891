"""Relations by legacy key: the target is found whatever primary key it got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from data_migration.exceptions import SpecError
from data_migration.ledger import Ledger
from data_migration.migration import Migration
from data_migration.models import RowLink, RunStep
from data_migration.options import RunOptions
from data_migration.outcomes import Mode, OnError
from data_migration.plan.graph import build_plan
from data_migration.run.runner import run_import
from data_migration.spec.columns import is_a
from data_migration.transform.relations import RelationColumn
from tests.apps.ledger.fixtures import Keyed, keyed_fixture  # noqa: F401
from tests.apps.ledger.models import Country, Customer, Node, Order, Parcel, Tag, Term
from tests.apps.library.testing import migrate
from tests.support.engine import over, statements, undone
from tests.support.examples import examples

pytestmark = pytest.mark.django_db

Rows = Sequence[Mapping[str, Any]]


def spec(model: Any, **attributes: Any) -> type[Migration]:
    described = {"nr": is_a(exclude=True), **attributes.pop("described", {})}
    attributes = {"model": model, "legacy_key": "nr", **attributes}
    return type("Spec", (Migration,), {**attributes, "column_description": described})


def run(**sources: tuple[type[Migration], Rows]) -> dict[str, RunStep]:
    """Run the migrations, labelled ``ledger.<name>``, over these rows; their steps by name."""
    specs = {f"ledger.{name}": over(cls, rows) for name, (cls, rows) in sources.items()}
    options = RunOptions(mode=Mode.COMMIT, on_error=OnError.CONTINUE, batch_size=2)
    done = run_import(build_plan(specs), options, Ledger("default"))
    assert done.error is None, done.error
    return {step.migration.partition(".")[2]: step for step in done.steps}


def causes(step: RunStep) -> list[str]:
    return list(step.messages.values_list("cause", flat=True))


CUSTOMERS = spec(Customer), [{"nr": 42, "name": "Ada"}, {"nr": 43, "name": "Bela"}]


def orders(legacy: Any = True, **options: Any) -> type[Migration]:
    return spec(Order, described={"customer": is_a(Customer, fk=True, legacy=legacy, **options)})


def bought() -> list[str | None]:
    return list(Order.objects.order_by("pk").values_list("customer__name", flat=True))


class TestKeys:
    def test_a_key_finds_its_object_of_another_primary_key(self) -> None:
        Customer.objects.create(pk=42, name="somebody else")
        run(A=CUSTOMERS, B=(orders(), [{"nr": 1, "customer": 43}, {"nr": 2, "customer": 42}]))
        assert bought() == ["Bela", "Ada"]

    def test_text_finds_the_number_that_it_writes_and_no_other(self) -> None:
        rows = [{"nr": 1, "customer": "42"}, {"nr": 2, "customer": "042"}]
        step = run(A=CUSTOMERS, B=(orders(), rows))["B"]
        assert bought() == ["Ada"]
        assert causes(step) == ["the legacy key '042' matches no ledger.Customer"]

    def test_the_exact_type_comes_first(self) -> None:
        customers = [{"nr": 7, "name": "number"}, {"nr": "7", "name": "text"}]
        rows = [{"nr": 1, "customer": "7"}, {"nr": 2, "customer": 7}]
        run(A=(spec(Customer), customers), B=(orders(), rows))
        assert bought() == ["text", "number"]

    def test_hooks_see_the_object(self) -> None:
        seen = []

        def hook_before_save(self: Any, instance: Order, row: Any) -> None:
            seen.append(instance.customer.name)

        migration = type("Seeing", (orders(),), {"hook_before_save": hook_before_save})
        run(A=CUSTOMERS, B=(migration, [{"nr": 1, "customer": 42}]))
        assert seen == ["Ada"]

    def test_null_and_empty_text_are_null(self) -> None:
        described = {"parent": is_a(Node, fk=True, legacy=True)}
        rows = [{"nr": 1, "name": "a", "parent": None}, {"nr": 2, "name": "b", "parent": ""}]
        run(A=(spec(Node, described=described), rows))
        assert Node.objects.filter(parent=None).count() == 2

    def test_an_object_that_somebody_deleted_is_missing(self) -> None:
        run(A=CUSTOMERS)
        Customer.objects.get(name="Ada").delete()
        step = run(A=CUSTOMERS, B=(orders(), [{"nr": 1, "customer": 42}]))["B"]
        assert step.failed == 1
        assert causes(step) == ["the legacy key 42 matches no ledger.Customer"]

    def test_a_row_that_was_skipped_has_no_object(self) -> None:
        def hook_before_save(self: Any, instance: Customer, row: Any) -> bool:
            return row["nr"] != 42

        customers = type("Choosy", (CUSTOMERS[0],), {"hook_before_save": hook_before_save})
        step = run(A=(customers, CUSTOMERS[1]), B=(orders(), [{"nr": 1, "customer": 42}]))["B"]
        assert step.failed == 1

    def test_a_value_that_cannot_be_a_key_fails_its_row(self) -> None:
        rows = [{"nr": 1, "customer": [42]}, {"nr": 2, "customer": 42}]
        step = run(A=CUSTOMERS, B=(orders(), rows))["B"]
        assert (step.created, step.failed) == (1, 1)
        assert "cannot be the legacy key of a ledger.Customer" in causes(step)[0]

    def test_an_object_that_a_hook_put_into_the_row_is_taken(self) -> None:
        ada = Customer.objects.create(name="Ada")

        def hook_before_transformation(self: Any, row: Any) -> None:
            row["customer"] = ada

        migration = type(
            "Hooked", (orders(),), {"hook_before_transformation": hook_before_transformation}
        )
        run(A=CUSTOMERS, B=(migration, [{"nr": 1, "customer": None}]))
        assert Order.objects.get().customer == ada

    def test_skip_missing_counts_a_warning(self) -> None:
        described = {"parent": is_a(Node, fk=True, legacy="ledger.A", skip_missing=True)}
        rows = [{"nr": 1, "name": "b", "parent": 9}]
        roots = spec(Node), [{"nr": 1, "name": "a"}]
        step = run(A=roots, B=(spec(Node, described=described), rows))["B"]
        assert (step.created, step.warnings) == (1, 1)

    def test_a_step_that_knows_no_links_says_so(self) -> None:
        with pytest.raises(SpecError, match="'customer' needs the ledger"):
            RelationColumn(
                "customer",
                is_a(Customer, fk=True, legacy=True),
                Order._meta.get_field("customer"),
                model=Order,
                database="default",
                with_instances=False,
            )


class TestSeveralMigrations:
    OTHERS = spec(Customer), [{"nr": 42, "name": "Carlo"}, {"nr": 44, "name": "Dora"}]

    def test_any_of_them_may_have_the_key(self) -> None:
        rows = [{"nr": 1, "customer": 43}, {"nr": 2, "customer": 44}]
        run(A=CUSTOMERS, B=self.OTHERS, C=(orders(), rows))
        assert bought() == ["Bela", "Dora"]

    def test_a_key_of_two_objects_fails_and_asks_for_the_migration(self) -> None:
        step = run(A=CUSTOMERS, B=self.OTHERS, C=(orders(), [{"nr": 1, "customer": 42}]))["C"]
        assert causes(step) == [
            "the legacy key 42 matches more than one ledger.Customer, in ledger.A and ledger.B:"
            ' name the migration, as in legacy="ledger.A"'
        ]

    def test_the_named_migration_decides(self) -> None:
        rows = [{"nr": 1, "customer": 42}, {"nr": 2, "customer": 43}]
        step = run(A=CUSTOMERS, B=self.OTHERS, C=(orders("ledger.B"), rows))["C"]
        assert bought() == ["Carlo"]
        assert step.failed == 1

    def test_two_rows_of_one_object_are_no_contradiction(self) -> None:
        twice = spec(Customer, search_attr="name", allow_updates=True)
        same = twice, [{"nr": 42, "name": "Ada"}]
        step = run(A=CUSTOMERS, B=same, C=(orders(), [{"nr": 1, "customer": 42}]))["C"]
        assert step.created == 1
        assert bought() == ["Ada"]


class TestManyToMany:
    TAGS = spec(Tag), [{"nr": 7, "name": "a"}, {"nr": 8, "name": "b"}]

    @pytest.mark.parametrize("value", ["7;8", " 7 ;; 8;7", [7, 8], ("8", 7)])
    def test_text_and_lists_of_keys(self, value: Any) -> None:
        described = {"tags": is_a(Tag, m2m=True, legacy=True)}
        migration = spec(Order, described={**orders().column_description, **described})
        rows = [{"nr": 1, "customer": 42, "tags": value}]
        run(A=CUSTOMERS, B=self.TAGS, C=(migration, rows))
        assert sorted(tag.name for tag in Order.objects.get().tags.all()) == ["a", "b"]


class TestComposite:
    def test_parts_that_are_no_fields_are_consumed(self) -> None:
        countries = spec(
            Country,
            legacy_key=("continent", "code"),
            described={"continent": is_a(exclude=True), "code": is_a(exclude=True)},
        )
        described = {"country": is_a(Country, fk=True, legacy=True, columns=("where", "code"))}
        found = [
            {"continent": "EU", "code": "01", "name": "Austria"},
            {"continent": "EU", "code": "1", "name": "Belgium"},
        ]
        rows = [{"nr": 1, "where": "EU", "code": "1", "number": "x"}]
        run(A=(countries, found), B=(spec(Parcel, described=described), rows))
        assert Parcel.objects.get().country.name == "Belgium"

    @pytest.mark.parametrize("missing", ["where", "code"])
    def test_any_part_null_is_null(self, missing: str) -> None:
        described = {"parent": is_a(Node, fk=True, legacy=True, columns=("where", "code"))}
        key = {"where": "EU", "code": "1"} | {missing: None}
        nodes = spec(Node, described=described, legacy_key=("nr", "name"))
        run(A=(nodes, [{"nr": 1, "name": "a", **key}]))
        assert Node.objects.get().parent is None

    def test_a_part_that_is_a_field_is_its_value_as_well(self) -> None:
        described = {"parent": is_a(Node, fk=True, legacy=True, columns=("family", "name"))}
        nodes = spec(
            Node,
            legacy_key=("family", "number"),
            described={**described, "family": is_a(exclude=True), "number": is_a(exclude=True)},
        )
        rows = [
            {"family": 1, "number": "a", "name": "b"},
            {"family": 1, "number": "b", "name": None},
            {"family": 2, "number": "b", "name": "b"},
        ]
        run(A=(nodes, [{**row, "name": row["name"] or ""} for row in rows]))
        assert sorted(Node.objects.values_list("name", "parent__name")) == [
            ("", None),
            ("b", ""),
            ("b", "b"),
        ]

    def test_a_sensitive_part_is_not_told(self) -> None:
        described = {"parent": is_a(Node, fk=True, legacy=True, columns=("where", "iban"))}
        nodes = spec(
            Node,
            described=described,
            legacy_key=("nr", "name"),
            sensitive_columns=("iban",),
            hook_error_creating_instance=lambda self, exception, row: None,
        )
        row = {"nr": 1, "name": "a", "where": "EU", "iban": "AT611904300234573201"}
        (message,) = run(A=(nodes, [row]))["A"].messages.all()
        assert message.column == "parent"
        assert "AT6119" not in f"{message.value} {message.cause}"

    def test_a_column_that_the_query_does_not_return(self) -> None:
        migration = orders(columns=("who",))
        specs = {
            "ledger.A": over(*CUSTOMERS),
            "ledger.B": over(migration, [{"nr": 1}]),
        }
        done = run_import(build_plan(specs), RunOptions(mode=Mode.COMMIT), Ledger("default"))
        assert "reads who, and the query does not return who" in str(done.error)

    def test_a_column_of_the_relation_s_own_name_that_nobody_reads(self) -> None:
        migration = orders(columns=("who",))
        rows = [{"nr": 1, "who": 42, "customer": 42}]
        specs = {"ledger.A": over(*CUSTOMERS), "ledger.B": over(migration, rows)}
        done = run_import(build_plan(specs), RunOptions(mode=Mode.COMMIT), Ledger("default"))
        assert "the query returns 'customer', but is_a() of it reads who" in str(done.error)


class TestRealShapes:
    @pytest.fixture(autouse=True)
    def migrated(self, keyed: Keyed) -> None:
        result = migrate("ledger", "--commit", "--batch-size", "2")
        assert result.code == 0, result.everything

    def test_a_tree_with_forward_references(self) -> None:
        assert dict(Node.objects.values_list("name", "parent__name")) == {
            "leaf": "branch",
            "twig": "root",
            "branch": "root",
            "root": None,
            "stone": None,
        }

    def test_a_term_with_two_parents(self) -> None:
        terms = {t.name: sorted(p.name for p in t.parents.all()) for t in Term.objects.all()}
        assert terms == {
            "spork": ["fork", "spoon"],
            "spoon": ["cutlery"],
            "fork": ["cutlery"],
            "cutlery": [],
        }

    def test_composite_text_keys(self) -> None:
        stored = Parcel.objects.values_list("country__name", "number", "replaces__number")
        assert sorted(stored, key=str) == [
            ("Algeria", "0007", None),
            ("Austria", "0007", "7"),
            ("Austria", "7", None),
            ("Belgium", "0007", None),
        ]

    def test_many_to_manys_of_a_delimited_text(self) -> None:
        found = {
            str(order.total): sorted(tag.name for tag in order.tags.all())
            for order in Order.objects.all()
        }
        assert found == {
            "12.50": ["gift", "paid"],
            "3.00": [],
            "99.90": ["late"],
            "0.50": ["paid"],
        }


def test_a_loop_of_a_tree_is_closed() -> None:
    described = {"parent": is_a(Node, fk=True, legacy=True)}
    rows = [{"nr": 1, "name": "a", "parent": "2"}, {"nr": 2, "name": "b", "parent": 1}]
    run(A=(spec(Node, described=described), rows))
    assert dict(Node.objects.values_list("name", "parent__name")) == {"a": "b", "b": "a"}


def test_a_tree_whose_parents_come_from_another_migration_does_not_wait() -> None:
    described = {"parent": is_a(Node, fk=True, legacy="ledger.A")}
    branches = spec(Node, described=described), [{"nr": 2, "name": "b", "parent": 1}]
    run(A=(spec(Node), [{"nr": 1, "name": "a"}]), B=branches)
    assert dict(Node.objects.values_list("name", "parent__name")) == {"a": None, "b": "a"}


def test_a_batch_costs_two_lookups_and_known_keys_none() -> None:
    run(A=CUSTOMERS)
    rows = [{"nr": n, "customer": 42 + n % 2} for n in range(6)]
    with statements() as seen:
        run(A=CUSTOMERS, B=(orders(), rows))
    assert len(seen.starting("SELECT", table=Customer)) <= 2
    assert Order.objects.count() == 6
    links = seen.starting("SELECT", table=RowLink)
    asked = [sql for sql in links if "key_hash" in sql and "checksum" not in sql]
    assert len(asked) == 1


@hypothesis_settings(max_examples=examples(20))
@given(st.data())
def test_every_reference_arrives_in_whatever_form_and_order(data: st.DataObject) -> None:
    """A forest of typed keys: parents before or after their children, keys as text or number."""
    keys = data.draw(
        st.lists(
            st.integers(-5, 10**6) | st.text("abc01", min_size=1, max_size=9),
            min_size=1,
            unique_by=str,
        )
    )
    parents = {
        key: data.draw(st.sampled_from([None, *keys[:number]])) for number, key in enumerate(keys)
    }

    def written(key: Any) -> Any:
        as_text = isinstance(key, int) and data.draw(st.booleans())
        return str(key) if as_text else key

    rows = [{"nr": key, "name": str(key), "parent": written(parents[key])} for key in keys]
    rows = data.draw(st.permutations(rows))
    with undone():
        described = {"parent": is_a(Node, fk=True, legacy=True)}
        step = run(A=(spec(Node, described=described), rows))["A"]
        assert step.created == len(rows)
        expected = {str(key): None if up is None else str(up) for key, up in parents.items()}
        assert dict(Node.objects.values_list("name", "parent__name")) == expected
