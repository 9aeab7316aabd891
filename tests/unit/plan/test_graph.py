"""The order of the migrations: from ``depends_on`` and ``is_a`` to a plan."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from hypothesis import given
from hypothesis import strategies as st

from data_migration import Migration, is_a
from data_migration.exceptions import DependencyCycle, UnknownDependency, UnknownLabel
from data_migration.plan.graph import Plan, build_plan, filled_by
from data_migration.utils.wording import suggest
from tests.apps.ledger.models import Node, Staff, Store
from tests.apps.shop.models import Brand, Detail, Product, Review, Tag

Specs = dict[str, type[Migration]]


def spec(model: Any = Brand, needs: Iterable[Any] = (), **columns: Any) -> type[Migration]:
    attributes = {"model": model, "depends_on": list(needs), "column_description": columns}
    return type("Spec", (Migration,), {"query": "SELECT 1", **attributes})


def order(specs: Specs, **options: Any) -> list[str]:
    return [step.label for step in build_plan(specs, **options)]


# ---------------------------------------------------------------- any graph


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, set[str]]:
    """Label -> the labels it needs, without a cycle; names say nothing about the order."""
    labels = draw(
        st.permutations([f"shop.M{number}" for number in range(draw(st.integers(1, 9)))])
    )
    return {
        label: draw(st.sets(st.sampled_from(labels[:position]))) if position else set()
        for position, label in enumerate(labels)
    }


def specs_of(needs: dict[str, set[str]]) -> Specs:
    return {label: spec(needs=sorted(needed)) for label, needed in needs.items()}


@given(acyclic())
def test_every_step_comes_after_what_it_needs(needs: dict[str, set[str]]) -> None:
    plan = build_plan(specs_of(needs))
    place = {step.label: position for position, step in enumerate(plan)}
    assert set(place) == set(needs)
    assert {step.label: set(step.needs) for step in plan} == needs
    assert all(place[step.label] > place[needed] for step in plan for needed in step.needs)


@given(acyclic(), st.randoms())
def test_the_order_does_not_depend_on_the_order_of_the_input(
    needs: dict[str, set[str]], chance: random.Random
) -> None:
    shuffled = list(needs.items())
    chance.shuffle(shuffled)
    assert order(specs_of(dict(shuffled))) == order(specs_of(needs))


@given(acyclic(), st.data())
def test_a_cycle_is_spelled_as_a_loop_that_exists(
    needs: dict[str, set[str]], data: st.DataObject
) -> None:
    one, other = (data.draw(st.sampled_from(sorted(needs))) for _ in range(2))
    if one == other:
        return
    needs[one].add(other)
    needs[other].add(one)
    with pytest.raises(DependencyCycle) as caught:
        build_plan(specs_of(needs))
    found = re.search(r"each other: (\S+(?: -> \S+)+)\. ", str(caught.value))
    assert found, str(caught.value)
    loop = found[1].split(" -> ")
    assert loop[0] == loop[-1] == min(loop)
    assert all(second in needs[first] for first, second in pairwise(loop))


def test_migrations_that_need_nothing_stand_by_label() -> None:
    assert order({"b.A": spec(), "a.B": spec(), "a.A": spec()}) == ["a.A", "a.B", "b.A"]


def test_a_cycle_is_spelled_from_its_smallest_label() -> None:
    specs = {"shop.B": spec(needs=["shop.A"]), "shop.A": spec(needs=["shop.B"])}
    with pytest.raises(DependencyCycle, match=r"shop\.A -> shop\.B -> shop\.A\."):
        build_plan(specs)


def test_nobody_waits_for_oneself() -> None:
    assert order({"shop.A": spec(Brand, needs=[Brand, "shop.A"])}) == ["shop.A"]


# ---------------------------------------------------------------- depends_on


def test_a_dependency_is_a_model_a_migration_or_a_label() -> None:
    last = spec(Brand)
    for dependency in (Brand, last, "shop.Z", "shop.Brand"):
        specs = {"shop.A": spec(Product, needs=[dependency]), "shop.Z": last}
        assert order(specs) == ["shop.Z", "shop.A"]


def test_a_model_filled_by_several_migrations_waits_for_all_of_them() -> None:
    specs = {"shop.A": spec(Product, needs=[Brand]), "shop.Y": spec(Brand), "shop.Z": spec(Brand)}
    assert order(specs) == ["shop.Y", "shop.Z", "shop.A"]
    assert filled_by(Brand, specs) == {"shop.Y", "shop.Z"}


def test_a_proxy_counts_as_its_model() -> None:
    class ProxyOfBrand(Brand):
        class Meta:
            proxy = True
            app_label = "shop"

    for needed, filled in [(Brand, ProxyOfBrand), (ProxyOfBrand, Brand)]:
        specs = {"shop.A": spec(Product, needs=[needed]), "shop.Z": spec(filled)}
        assert order(specs) == ["shop.Z", "shop.A"]


def test_an_unknown_dependency_names_the_asker_and_a_label_like_it() -> None:
    specs = {"shop.A": spec(needs=["shop.Bramd"]), "shop.Brand": spec(Brand)}
    with pytest.raises(UnknownDependency) as caught:
        build_plan({**specs, "shop.B": spec()})
    assert str(caught.value).startswith("shop.A depends on 'shop.Bramd', which is neither")
    assert "Did you mean 'shop.Brand'?" in str(caught.value)


def test_a_base_class_fills_nothing() -> None:
    class BrandBase(Migration):
        model = Brand

    with pytest.raises(UnknownDependency, match=r"shop\.A depends on .*BrandBase, which no"):
        build_plan({"shop.A": spec(needs=[BrandBase])})


def test_a_model_of_an_app_with_specs_has_to_be_filled() -> None:
    specs = {"shop.A": spec(Brand, needs=[Tag])}
    with pytest.raises(UnknownDependency, match=r"shop\.A depends on shop\.Tag, which no"):
        build_plan(specs)
    assert order(specs, is_filled=lambda model: model is Tag) == ["shop.A"]


def test_a_model_of_an_app_without_specs_may_be_filled_in_another_way() -> None:
    assert order({"shop.A": spec(needs=[User, "auth.Group", Group])}) == ["shop.A"]


# ---------------------------------------------------------------- is_a


def test_what_is_a_names_comes_first() -> None:
    specs = {"shop.A": spec(Product, brand=is_a(Brand, "id", fk=True)), "shop.Z": spec(Brand)}
    assert order(specs) == ["shop.Z", "shop.A"]


def test_what_is_a_names_need_not_be_migrated() -> None:
    assert order({"shop.A": spec(Product, brand=is_a(Brand, "id", fk=True))}) == ["shop.A"]
    assert order({"shop.A": spec(Product, brand=is_a(exclude=True))}) == ["shop.A"]


def test_a_tree_waits_for_nobody() -> None:
    tree = is_a(Brand, "id", m2m=True)
    assert order({"shop.A": spec(Brand, a=tree), "shop.B": spec(Brand, a=tree)}) == [
        "shop.A",
        "shop.B",
    ]


def test_depends_on_outweighs_is_a() -> None:
    specs = {
        "shop.A": spec(Product, brand=is_a(Brand, "id", fk=True)),
        "shop.B": spec(Detail, needs=["shop.A"]),
        "shop.Z": spec(Brand, needs=["shop.B"]),
    }
    assert order(specs) == ["shop.A", "shop.B", "shop.Z"]


def test_a_relation_that_may_miss_its_target_closes_no_loop() -> None:
    # django-data-migration 0.2.1 ran such specs: the brand's tag stayed empty.
    specs = {
        "shop.Brands": spec(Brand, tag=is_a(Tag, search_attr="id", fk=True, skip_missing=True)),
        "shop.Tags": spec(Tag, brand=is_a(Brand, search_attr="id", fk=True)),
    }
    assert order(specs) == ["shop.Brands", "shop.Tags"]
    specs["shop.Tags"] = spec(Tag)
    assert order(specs) == ["shop.Tags", "shop.Brands"]


def test_two_that_name_each_other_are_told_to_say_which_comes_first() -> None:
    product = spec(Product, brand=is_a(Brand, "id", fk=True))
    brand = spec(Brand, products=is_a(Product, "id", m2m=True))
    with pytest.raises(DependencyCycle, match="say with depends_on which of them comes first"):
        build_plan({"shop.A": product, "shop.Z": brand})
    product.depends_on = [Brand]
    assert order({"shop.A": product, "shop.Z": brand}) == ["shop.Z", "shop.A"]


# ---------------------------------------------------------------- labels


@pytest.fixture
def plan() -> Plan:
    labels = ("shop.Brand", "shop.BrandLogo", "shopping.Cart", "blog.Post")
    return build_plan({label: spec() for label in labels})


def chosen(plan: Plan, labels: Iterable[str] = (), exclude: Iterable[str] = ()) -> list[str]:
    return [step.label for step in plan.select(list(labels), list(exclude))]


def test_labels_are_exact(plan: Plan) -> None:
    assert chosen(plan, ["shop"]) == ["shop.Brand", "shop.BrandLogo"]
    assert chosen(plan, ["shop.Brand", "blog"]) == ["blog.Post", "shop.Brand"]


def test_exclude_is_exact(plan: Plan) -> None:
    assert chosen(plan, exclude=["shop"]) == ["blog.Post", "shopping.Cart"]
    assert chosen(plan, ["shop"], ["shop.Brand"]) == ["shop.BrandLogo"]


def test_no_label_means_all(plan: Plan) -> None:
    assert plan.select() == plan
    assert len(plan) == 4


def test_what_is_excluded_does_not_break_what_needs_it() -> None:
    plan = build_plan({"shop.A": spec(Product, needs=[Brand]), "shop.Z": spec(Brand)})
    (step,) = plan.select(exclude=["shop.Z"])
    assert (step.label, step.needs) == ("shop.A", ("shop.Z",))


@pytest.mark.parametrize("where", ["labels", "exclude"])
@pytest.mark.parametrize(
    ("label", "meant"),
    [("shpo", "shop"), ("blog.Pots", "blog.Post"), ("shop.brand", "shop.Brand")],
)
def test_an_unknown_label_gets_a_suggestion(
    plan: Plan, where: str, label: str, meant: str
) -> None:
    with pytest.raises(UnknownLabel) as caught:
        plan.select(**{where: [label]})
    assert f"{label!r}. Did you mean {meant!r}?" in str(caught.value)


def test_without_a_likeness_everything_known_is_listed() -> None:
    assert suggest("xyz", ["b", "a"]) == " Known: a, b."
    assert suggest("xyz", []) == ""


# ---------------------------------------------------------------- deferred relations


def cycle(**deferred: bool) -> Specs:
    """Stores have managers, who work in stores; a staff's home is a store as well."""

    def is_deferred(name: str) -> bool:
        return deferred.get(name, False)

    manager = is_a(Staff, "id", fk=True, deferred=is_deferred("manager"))
    store = is_a(Store, "id", fk=True, deferred=is_deferred("store"))
    return {"ledger.Staff": spec(Staff, store=store), "ledger.Store": spec(Store, manager=manager)}


def test_a_cycle_without_a_deferred_relation_is_spelled_out_with_the_way_out() -> None:
    with pytest.raises(DependencyCycle) as caught:
        build_plan(cycle())
    said = str(caught.value)
    assert "ledger.Staff -> ledger.Store -> ledger.Staff" in said
    assert "deferred=True in is_a() of ledger.Staff.store or ledger.Store.manager" in said


def test_a_relation_that_may_not_be_null_is_not_advised() -> None:
    review = spec(Review, needs=[Product], product=is_a(Product, "id", fk=True))
    specs = {"shop.A": spec(Product, needs=["shop.B"]), "shop.B": review}
    with pytest.raises(DependencyCycle) as caught:
        build_plan(specs)
    assert "deferred" not in str(caught.value)


@pytest.mark.parametrize(
    ("deferred", "first"), [("manager", "ledger.Store"), ("store", "ledger.Staff")]
)
def test_a_deferred_relation_puts_nothing_in_order(deferred: str, first: str) -> None:
    plan = build_plan(cycle(**{deferred: True}))
    assert next(step.label for step in plan) == first
    assert next(iter(plan)).needs == ()


def test_one_of_two_loops_that_is_still_closed_is_refused() -> None:
    specs = cycle(manager=True)
    specs["ledger.Node"] = spec(Node, needs=[Store])
    specs["ledger.Store"].depends_on = [Node]
    with pytest.raises(DependencyCycle, match=r"ledger\.Node -> ledger\.Store -> ledger\.Node"):
        build_plan(specs)


def test_a_step_knows_which_migrations_fill_what_it_refers_to() -> None:
    specs = {
        "shop.Old": spec(Brand),
        "shop.New": spec(Brand),
        "shop.Product": spec(
            Product,
            brand=is_a(Brand, fk=True, legacy=True),
            maker=is_a(Brand, fk=True, legacy="shop.Old"),
        ),
        "shop.Review": spec(Review),
    }
    specs["shop.Detail"] = spec(
        Detail, product=is_a(Product, o2o=True, legacy=specs["shop.Product"])
    )
    plan = {step.label: step for step in build_plan(specs)}
    assert plan["shop.Product"].sources == {
        "brand": ("shop.New", "shop.Old"),
        "maker": ("shop.Old",),
    }
    assert plan["shop.Detail"].sources == {"product": ("shop.Product",)}
    assert plan["shop.Detail"].needs == ("shop.Product",)


def test_a_relation_that_names_one_migration_waits_for_that_one_only() -> None:
    specs = {
        "shop.New": spec(Brand),
        "shop.Old": spec(Brand),
        "shop.Product": spec(Product, brand=is_a(Brand, fk=True, legacy="shop.Old")),
    }
    assert {step.label: step.needs for step in build_plan(specs)}["shop.Product"] == ("shop.Old",)
