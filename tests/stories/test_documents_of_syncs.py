"""Each sentence of the founding documents about syncs, and what we have for it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from collections.abc import Mapping as Dict
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from data_migration.models import PUSH_STEP, RowError, Run, RunStep
from data_migration.sync import (
    Connector,
    Const,
    From,
    Mapping,
    Nested,
    Page,
    Refused,
    Written,
    is_a,
)
from tests.apps.library.testing import Result, give
from tests.apps.shop.models import Brand, Everything, Product, Review
from tests.support.memory_remote import Remote, forget_remotes, remote_of
from tests.support.specs import NewApp
from tests.support.syncing import synced, syncs_of

pytestmark = pytest.mark.django_db

OBJECT = "Thing"
PASSWORD = "not for everybody"


@pytest.fixture(autouse=True)
def accounts(settings: LazySettings) -> None:
    account = {
        "CONNECTOR": "tests.support.memory_remote.MemoryRemote",
        "HOST": "atlas",
        "USER": "ada",
        "PASSWORD": PASSWORD,
    }
    settings.DATA_MIGRATION_CONNECTORS = {
        "atlas": account,
        "shelf": {**account, "CONNECTOR": f"{__name__}.Shelf", "HOST": "shelf"},
    }
    forget_remotes()
    Shelf.books.clear()


@pytest.fixture
def atlas() -> Remote:
    return remote_of("atlas")


def mapping(**attributes: Any) -> type[Mapping]:
    own: dict[str, Any] = {"objectname": OBJECT, "model": Everything, "fields": {"name": "text"}}
    return type("Things", (Mapping,), {**own, **attributes})


class Shelf(Connector):
    """A remote system of its own kind: a dictionary of titles by ISBN."""

    books: Dict[str, str] = {}

    def __init__(self, config: Dict[str, Any]) -> None:
        super().__init__(config)
        self.user = (config["HOST"], config["USER"], config["PASSWORD"])

    def ping(self) -> str:
        return f"{len(self.books)} books"

    def pages(
        self,
        objectname: str,
        *,
        since: Any = None,
        fields: Collection[str] = (),
        size: int,
    ) -> Iterator[Page]:
        rows = [{"isbn": isbn, "title": title} for isbn, title in sorted(self.books.items())]
        for start in range(0, len(rows), size):
            yield Page(rows[start : start + size])

    def get(self, objectname: str, key: Any) -> Dict[str, Any] | None:
        return {"isbn": key, "title": self.books[key]} if key in self.books else None

    def insert(self, objectname: str, values: Dict[str, Any], *, idempotency_key: str) -> Written:
        self.books[key := f"978-{len(self.books)}"] = values["title"]
        return Written(key)

    def find(self, objectname: str, values: Dict[str, Any]) -> Dict[str, Any] | None:
        titles = {title: isbn for isbn, title in self.books.items()}
        isbn = titles.get(values["title"])
        return {"isbn": isbn, **values} if isbn else None

    def update(
        self, objectname: str, key: Any, changes: Dict[str, Any], *, version: str | None = None
    ) -> Written:
        self.books[key] = changes["title"]
        return Written(key)

    def delete(self, objectname: str, key: Any, *, version: str | None = None) -> None:
        del self.books[key]


def test_any_model_and_any_connector() -> None:
    """*Middleware between a DocType and a remote source*: any model, any connector."""
    books = mapping(remote_key="isbn", fields={"title": "text"})
    syncs = syncs_of(books, connector="shelf")
    Shelf.books["978-A"] = "Theirs"  # type: ignore[index]
    Everything.objects.create(text="Ours")
    done = synced(syncs)
    assert (done.pull(books), done.push(books)["created"]) == ({"created": 1}, 1)
    assert sorted(Shelf.books.values()) == ["Ours", "Theirs"]
    assert sorted(Everything.objects.values_list("text", flat=True)) == ["Ours", "Theirs"]
    assert synced(syncs).written == {}


class Makers(Mapping):
    objectname = "Maker"
    model = Brand
    fields = {"name": "name", "code": "code"}


class Articles(Mapping):
    objectname = "Article"
    model = Product
    fields = {"sku": "sku", "title": "name", "maker_id": is_a(Brand, field="brand")}


def test_a_plan_encapsulates_mappings_in_the_order_of_their_dependencies(atlas: Remote) -> None:
    """*A Plan encapsulates mappings*: ``Plan.mappings``, order from dependencies."""
    syncs = syncs_of(Articles, Makers)
    Product.objects.create(
        sku="1", name="Anvil", brand=Brand.objects.create(name="Acme", code="a")
    )
    there = atlas.put("Maker", {"name": "Globex", "code": "g"})
    atlas.put("Article", {"sku": "2", "title": "Bolt", "maker_id": there["id"]})
    done = synced(syncs)
    names = ["shop.Makers@atlas", "shop.Articles@atlas"]
    assert list(done.steps) == [*names, *(PUSH_STEP + name for name in names)]
    assert Product.objects.get(sku="2").brand.code == "g"  # type: ignore[union-attr]
    makers = {row["id"]: row["code"] for row in atlas.rows("Maker")}
    assert {row["sku"]: makers[row["maker_id"]] for row in atlas.rows("Article")} == {
        "1": "a",
        "2": "g",
    }


def test_objectname_primary_key_model_and_page_length(atlas: Remote) -> None:
    """*Remote Objectname, primary key, Local DocType, Page Length*."""
    things = mapping(remote_key="code", page_size=10, direction="pull")
    for number in range(25):
        atlas.put(OBJECT, {"code": f"T-{number:02}", "name": f"thing {number}"})
    done = synced(syncs_of(things))
    assert done.pull(things) == {"created": 25}
    assert atlas.calls["pages"] == 3
    assert done.steps["shop.Things@atlas"].read == 25


def test_a_sync_pulls_first_then_pushes_what_still_differs(atlas: Remote) -> None:
    """*Push, Pull; Sync performs both in a single cycle*."""
    for direction, steps in (
        ("pull", ["shop.Things@atlas"]),
        ("push", ["push:shop.Things@atlas"]),
        ("sync", ["shop.Things@atlas", "push:shop.Things@atlas"]),
    ):
        forget_remotes()
        assert list(synced(syncs_of(mapping(direction=direction))).steps) == steps
    things = mapping()
    remote_of("atlas").put(OBJECT, {"name": "theirs"})
    Everything.objects.create(text="ours")
    done = synced(syncs_of(things))
    assert (done.pull(things), done.push(things)) == (
        {"created": 1},
        {"created": 1, "unchanged": 1},
    )


TWO_WAYS = """
from data_migration.sync import Const, Mapping, Plan
from tests.apps.shop.models import Everything

class Things(Mapping):
    objectname = "Thing"
    model = Everything
    direction = "sync"
    fields = {"name": "text", "vendor": Const("GadgetTech")}

class Sync(Plan):
    mappings = [Things]
    connector = "atlas"
"""


def test_literals_and_expressions_go_one_way_and_conversions_both(atlas: Remote) -> None:
    """*Literal in quotes, eval statements, not with Sync*: ``Const``, callables, ``From``."""
    fields = {
        "name": "text",
        "vendor": Const("GadgetTech"),
        "shout": lambda item: item.text.upper(),
        "rate": From("decimal", pull=Decimal, push=str),
    }
    push = mapping(direction="push", fields=fields)
    Everything.objects.create(text="Anvil", decimal=Decimal("2.500"))
    synced(syncs_of(push))
    (row,) = atlas.rows(OBJECT)
    del row["id"]
    assert row == {"name": "Anvil", "vendor": "GadgetTech", "shout": "ANVIL", "rate": "2.500"}
    forget_remotes()
    Everything.objects.all().delete()
    both = type("Others", (Mapping,), {
        "objectname": OBJECT, "model": Everything,
        "fields": {"name": "text", "rate": From("decimal", pull=Decimal, push=str)},
    })  # fmt: skip
    remote_of("atlas").put(OBJECT, {"name": "Bolt", "rate": "0.125"})
    syncs = syncs_of(both)
    synced(syncs)
    assert Everything.objects.get().decimal == Decimal("0.125")
    Everything.objects.update(decimal=Decimal("7"))
    synced(syncs)
    assert Decimal(remote_of("atlas").rows(OBJECT)[0]["rate"]) == 7


@pytest.mark.parametrize("made", ['Const("GadgetTech")', "lambda item: item.text"])
def test_a_literal_cannot_be_pulled(new_app: NewApp, made: str) -> None:
    spec = TWO_WAYS.replace('direction = "sync"', 'direction = "pull"')
    new_app("things", data_sync_spec=spec.replace('Const("GadgetTech")', made))
    with pytest.raises(SystemCheckError, match=r"'vendor' is .* only sent"):
        call_command("check", tag=["data_migration"])


def test_a_remote_name_is_a_column_or_a_property_of_a_json_object(atlas: Remote) -> None:
    """*Remote fieldname: a column, or a property of a JSON object*: dotted names."""
    things = mapping(fields={"name": "text", "size.width": "integer", "size.unit": "slug"})
    atlas.put(OBJECT, {"name": "Anvil", "size": {"width": 4, "unit": "cm"}})
    syncs = syncs_of(things)
    synced(syncs)
    assert list(Everything.objects.values_list("text", "integer", "slug")) == [("Anvil", 4, "cm")]
    Everything.objects.update(integer=5)
    Everything.objects.create(text="Bolt", integer=1, slug="mm")
    synced(syncs)
    assert sorted((row["name"], row["size"]["width"]) for row in atlas.rows(OBJECT)) == [
        ("Anvil", 5),
        ("Bolt", 1),
    ]
    assert synced(syncs).written == {}


def test_pre_process_gets_the_source_document_and_post_process_both(atlas: Remote) -> None:
    """*pre_process gets the source doc, post_process both and more*: the same names."""
    seen: list[tuple[str, str, bool]] = []

    def pre_process(self: Any, row: dict[str, Any]) -> dict[str, Any] | None:
        if row["name"] == "skip":
            return None
        return {**row, "name": row["name"].strip()}

    def post_process(self: Any, *, local: Any, remote: Dict[str, Any], created: bool) -> None:
        seen.append((local.text, remote["name"], created))

    things = mapping(direction="pull", pre_process=pre_process, post_process=post_process)
    for name in (" Anvil ", "skip"):
        atlas.put(OBJECT, {"name": name})
    done = synced(syncs_of(things))
    assert done.pull(things) == {"created": 1, "skipped": 1}
    (call,) = seen
    assert (call[0], call[1].strip(), call[2]) == ("Anvil", "Anvil", True)


def test_a_failure_of_post_process_leaves_the_row_written(atlas: Remote) -> None:
    def post_process(self: Any, *, local: Any, remote: Dict[str, Any], created: bool) -> None:
        raise ValueError("the mail server is down")

    things = mapping(direction="pull", post_process=post_process)
    atlas.put(OBJECT, {"name": "Anvil"})
    done = synced(syncs_of(things))
    assert list(Everything.objects.values_list("text", flat=True)) == ["Anvil"]
    assert any("the mail server is down" in message[3] for message in done.messages)


def test_nested_rows_follow_their_parent(atlas: Remote) -> None:
    """*Is Child Table, Child Table Mapping*: ``Nested``."""

    class Reviews(Mapping):
        objectname = ""
        model = Review
        fields = {"text": "text"}

    class Items(Mapping):
        objectname = "Item"
        model = Product
        direction = "pull"
        fields = {"sku": "sku", "name": "name", "reviews": Nested(Reviews)}

    row = {"sku": "1", "name": "Anvil", "reviews": [{"text": "heavy"}, {"text": "loud"}]}
    there = atlas.put("Item", row)
    syncs = syncs_of(Items)
    synced(syncs)
    assert sorted(Review.objects.values_list("text", flat=True)) == ["heavy", "loud"]
    atlas.put("Item", {"id": there["id"], "reviews": [{"text": "heavy"}]})
    synced(syncs)
    assert list(Review.objects.values_list("text", flat=True)) == ["heavy"]


SPEC = TWO_WAYS.replace(', "vendor": Const("GadgetTech")', "")


def sync(*arguments: str) -> Result:
    return give("sync_remote", *arguments, "--no-progress")


def test_hostname_username_and_password_are_in_the_settings_only(
    new_app: NewApp, atlas: Remote
) -> None:
    """*Connector with hostname, username, password; connect in ``__init__``*."""
    new_app("things", data_sync_spec=SPEC)
    atlas.put(OBJECT, {"name": "Anvil"})
    remote_of("atlas").failures["insert"] = [ValueError(f"password={PASSWORD}")]
    Everything.objects.create(text="ours")
    shown = [sync("--commit"), give("show_remote"), give("show_remote", "--messages")]
    assert PASSWORD not in "".join(each.everything for each in shown)
    kept = [*Run.objects.values(), *RowError.objects.values(), *RunStep.objects.values()]
    assert PASSWORD not in json.dumps(kept, default=str)


def test_a_run_takes_plan_and_connector_and_says_how_far_it_is(
    new_app: NewApp, atlas: Remote
) -> None:
    """*A Run takes Plan and Connector; progress in real time*: unknown totals are counts."""
    app = new_app("things", data_sync_spec=SPEC)
    for number in range(3):
        atlas.put(OBJECT, {"name": f"thing {number}"})
    done = sync(f"{app.label}.Sync", "--connector", "atlas", "--commit")
    assert (done.code, done.err) == (0, "")
    assert "things.Things@atlas" in done.out
    run = Run.objects.latest("pk")
    assert (run.kind, run.lane, run.status) == ("sync", "connector atlas", "done")
    assert run.steps.get(migration="things.Things@atlas").total is None


def test_after_success_it_cannot_be_run_again(new_app: NewApp, atlas: Remote) -> None:
    """*After success it cannot be run again*: refused by the server."""
    new_app("things", data_sync_spec=SPEC)
    atlas.put(OBJECT, {"name": "Anvil"})
    assert sync("--commit").code == 0
    run = Run.objects.latest("pk")
    again = sync("--run", str(run.pk))
    assert again.code == 1
    assert Run.objects.count() == 1


def test_next_time_only_what_changed_or_failed(atlas: Remote) -> None:
    """*Next time only what changed or failed*: updates, deletes and pulls too."""
    things = mapping(changed="updated_at", deleted="delete", deleted_limit=100)
    syncs = syncs_of(things)
    for number in range(30):
        atlas.put(OBJECT, {"name": f"thing {number}"})
    synced(syncs)
    first = Everything.objects.order_by("pk")[0]
    first.text = "edited"
    first.save()
    gone = Everything.objects.order_by("pk")[1]
    gone.delete()
    atlas.failures["update"] = [_refusal()]
    atlas.failures["delete"] = [_refusal()]
    done = synced(syncs)
    assert done.push(things)["failed"] == 2
    assert len(atlas.rows(OBJECT)) == 30
    calls = dict(atlas.calls)
    synced(syncs)
    sent = {
        name: atlas.calls[name] - calls.get(name, 0) for name in ("insert", "update", "delete")
    }
    assert sent == {"insert": 0, "update": 1, "delete": 1}
    assert len(atlas.rows(OBJECT)) == 29
    writes = atlas.writes
    assert synced(syncs).written == {}
    assert atlas.writes == writes


def _refusal() -> Exception:
    return Refused("not today")
