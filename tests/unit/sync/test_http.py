"""``HttpConnector`` against a real server that misbehaves as it is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from email.utils import formatdate
from itertools import chain
from typing import Any

import pytest

from data_migration.exceptions import RemoteError, SpecError
from data_migration.sync import (
    AuthFailed,
    Conflict,
    Gone,
    HeaderToken,
    HttpConnector,
    LinkHeader,
    NextUrl,
    Offset,
    PageNumber,
    Refused,
    Resource,
    Single,
    Token,
    Transient,
    Uncertain,
)
from data_migration.sync.calling import Caller
from data_migration.utils.wording import words
from tests.support.faulty_api import Api, faulty_api

ITEMS = Resource(
    "/items",
    since="since",
    size="size",
    find="{}",
    version="etag",
    idempotency="Idempotency-Key",
    remembers=3600,
    error="error.message",
)


class Plain(HttpConnector):
    pages_by = Offset("offset", "size")
    resources = {"items": ITEMS, "once": Resource("/items", error="error.message")}


_OPEN: list[HttpConnector] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


@pytest.fixture
def api() -> Iterator[Api]:
    with faulty_api() as api:
        yield api


def connector(
    api: Api, cls: type[HttpConnector] = Plain, **config: Any
) -> tuple[HttpConnector, list[float]]:
    """With what it waited: nobody sleeps here."""
    waits: list[float] = []
    made = cls({"HOST": api.address, "TIMEOUT": (2, 0.3), **config})
    made.caller = Caller(made.config, sleep=waits.append)
    _OPEN.append(made)
    return made, waits


def read(made: HttpConnector, size: int = 10, **asked: Any) -> list[list[str]]:
    pages = made.pages("items", size=size, **asked)
    return [[row["id"] for row in page.rows] for page in pages]


def way(paging: Any, name: str, rows: str = "") -> type[HttpConnector]:
    resource = Resource("/items", size="size", rows=rows, parameters={"way": name})
    return type("Way", (HttpConnector,), {"pages_by": paging, "resources": {"items": resource}})


@pytest.mark.parametrize(
    "cls",
    [
        way(LinkHeader(), "link"),
        way(NextUrl("links.next"), "url", "data"),
        way(PageNumber("page"), ""),
        way(Offset("offset"), ""),
        way(Token("cursor", at="next"), "token", "data"),
        way(HeaderToken("Next-Page"), "header"),
    ],
    ids=lambda cls: type(cls.pages_by).__name__,
)
def test_every_row_comes_once_in_full_pages(api: Api, cls: type[HttpConnector]) -> None:
    for key in range(1, 24):
        api.put(key, name="x")
    made, _ = connector(api, cls)
    pages = read(made)
    assert [len(page) for page in pages] == [10, 10, 3]
    assert list(chain(*pages)) == [str(key) for key in range(1, 24)]
    assert made.caller.calls == 3  # ceil(n / size)


def test_all_rows_may_come_at_once(api: Api) -> None:
    for key in range(1, 24):
        api.put(key)
    made, _ = connector(api, way(Single(), ""))
    assert [len(page) for page in read(made, 100)] == [23]


def test_a_page_that_leads_back_ends_the_pass(api: Api) -> None:
    for key in range(1, 24):
        api.put(key)
    made, _ = connector(api, way(HeaderToken("Next-Page"), "header"))
    api.next(None, "same page")
    with pytest.raises(RemoteError, match="leads back"):
        read(made)


def test_numbers_are_exact_and_since_is_sent(api: Api) -> None:
    api.put(1, price=0.1, stock=2**60)
    api.put(2, price=2.5, stock=1)
    made, _ = connector(api)
    ((row,),) = [page.rows for page in made.pages("items", since=2, size=10)]
    assert (row["price"], type(row["price"])) == (Decimal("2.5"), Decimal)
    assert made.get("items", "1") == {
        "id": "1", "price": Decimal("0.1"), "stock": 2**60, "changed": 1
    }  # fmt: skip


def test_a_row_is_created_changed_and_deleted(api: Api) -> None:
    made, _ = connector(api)
    first = made.insert("items", {"name": "Anvil", "price": Decimal("9.50")}, idempotency_key="a")
    assert made.insert("items", {"name": "Anvil"}, idempotency_key="a").key == first.key
    assert (len(api.rows), api.rows["1"]["price"]) == (1, 9.5)
    second = made.update("items", "1", {"name": "Hammer"}, version=first.version)
    with pytest.raises(Conflict):
        made.update("items", "1", {"name": "Nail"}, version=first.version)
    assert made.version("items", made.get("items", "1") or {}) == second.version
    assert made.find("items", {"name": "Hammer"}) == api.rows["1"]
    assert made.find("items", {"name": "Nail"}) is None
    made.delete("items", "1")
    with pytest.raises(Gone):
        made.delete("items", "1")
    assert made.get("items", "1") is None


def test_more_digits_than_json_keeps_are_refused(api: Api) -> None:
    made, _ = connector(api)
    with pytest.raises(Refused, match="more digits"):
        made.insert("items", {"price": Decimal("0.12345678901234567890")}, idempotency_key="a")
    assert api.asked == []


@pytest.mark.parametrize("key", ["bad id", "a/b", "..", "ä?x=1#y"])
def test_a_key_is_one_step_of_the_path(api: Api, key: str) -> None:
    api.put(key, name="odd")
    made, _ = connector(api)
    assert (made.get("items", key) or {})["name"] == "odd"


@pytest.mark.parametrize(
    ("after", "waited"),
    [("5", [5.0]), ("0", [0.0]), ("-3", [0.0]), ("soon", [0.0]), ("nan", [0.0])],
)
def test_429_is_waited_for_as_long_as_it_says(api: Api, after: str, waited: list[float]) -> None:
    api.put(1)
    made, waits = connector(api)
    api.next("429", retry_after=after)
    assert read(made) == [["1"]]
    assert waits == waited
    assert (made.caller.calls, made.caller.retries) == (2, 1)


def test_429_may_name_a_moment(api: Api) -> None:
    made, waits = connector(api)
    api.next("429", retry_after=formatdate(time.time() + 60, usegmt=True))
    read(made)
    assert 50 < waits[0] <= 61


def test_a_wait_that_is_too_long_is_not_begun(api: Api) -> None:
    made, waits = connector(api)
    api.next("429", retry_after="86400")
    with pytest.raises(Transient) as raised:
        read(made)
    assert (raised.value.retry_after, waits) == (86400, [])


def test_503_and_a_gateway_without_json_are_tried_again_with_growing_waits(api: Api) -> None:
    api.put(1)
    made, waits = connector(api)
    api.next("503", "html", "503")
    assert read(made) == [["1"]]
    assert len(waits) == 3
    assert waits[2] > waits[0]


def test_it_is_given_up_after_so_many_tries(api: Api) -> None:
    made, waits = connector(api, RETRIES=2)
    api.next(*["503"] * 5)
    with pytest.raises(Transient, match="503"):
        read(made)
    assert len(waits) == 2


@pytest.mark.parametrize("fault", ["reset before", "reset after", "reset in the body", "slow"])
def test_what_reads_is_read_again(api: Api, fault: str) -> None:
    api.put(1)
    made, waits = connector(api)
    api.next(fault)
    assert read(made) == [["1"]]
    assert len(waits) == 1


@pytest.mark.parametrize("fault", ["reset after", "slow"])
def test_what_creates_is_sent_again_only_where_the_key_is_known_again(
    api: Api, fault: str
) -> None:
    made, _ = connector(api)
    api.next(fault)
    assert made.insert("items", {"name": "a"}, idempotency_key="k").key == "1"
    assert len(api.rows) == 1
    api.next(fault)
    with pytest.raises(Uncertain):
        made.insert("once", {"name": "b"}, idempotency_key="k2")
    assert [each for each in api.asked if each.startswith("POST")] == ["POST /items"] * 3


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("nan", RemoteError, "NaN is no number"),
        ("twice", RemoteError, "id comes twice"),
        ("error in 200", Refused, "quota of the day"),
        ("400", Refused, "400"),
        ("422", Refused, "422"),
        ("401", AuthFailed, "not let in"),
        ("403", AuthFailed, "not let in"),
        ("elsewhere", RemoteError, "another host, elsewhere.invalid"),
        ("redirect elsewhere", RemoteError, "another host, elsewhere.invalid"),
        ("bomb", RemoteError, "more than 1,000,000 bytes"),
    ],
)
def test_each_fault_is_told(api: Api, fault: str, error: type[Exception], said: str) -> None:
    cls = way(LinkHeader(), "link") if fault == "elsewhere" else Plain
    made, waits = connector(api, cls, OPTIONS={"max_bytes": 1_000_000})
    api.next(fault)
    with pytest.raises(error, match=said):
        read(made)
    assert waits == []
    assert len(api.asked) == 1


def test_a_server_that_is_not_there_is_waited_for() -> None:
    with faulty_api() as api:
        pass
    made, waits = connector(api, RETRIES=1)
    with pytest.raises(Transient, match="cannot be reached"):
        read(made)
    assert len(waits) == 1


def test_a_name_that_leads_nowhere_and_a_wrong_certificate_are_told(api: Api) -> None:
    nowhere, _ = connector(api, HOST="http://nowhere.invalid", RETRIES=0)
    with pytest.raises(Transient, match=r"nowhere\.invalid cannot be reached"):
        read(nowhere)
    other, _ = connector(api, HOST=api.address.replace("http:", "https:"), RETRIES=0)
    with pytest.raises(Transient, match="cannot be reached"):
        read(other)


def test_the_ways_of_proving_who_it_is(api: Api) -> None:
    for config, name, value in [
        ({"USER": "joe", "PASSWORD": "hunter2"}, "authorization", "Basic am9lOmh1bnRlcjI="),
        ({"TOKEN": "t0k"}, "authorization", "Bearer t0k"),
        ({"TOKEN": "t0k", "AUTH": {"header": "X-Api-Key"}}, "x-api-key", "t0k"),
        (
            {
                "AUTH": {"oauth2": f"{api.address}/token"},
                "USER": "id",
                "PASSWORD": "hunter2",
            },
            "authorization",
            "Bearer token0",
        ),
    ]:
        made, _ = connector(api, **config)
        read(made)
        assert api.headers[-1][name] == value


def test_a_token_that_expires_on_page_seven_is_renewed(api: Api) -> None:
    for key in range(1, 24):
        api.put(key)
    made, waits = connector(
        api, AUTH={"oauth2": f"{api.address}/token"}, USER="id", PASSWORD="hunter2"
    )
    api.next(*[None] * 7, "expired")  # the first is for the token
    assert list(chain(*read(made, 3))) == [str(key) for key in range(1, 24)]
    assert (api.tokens, waits) == (["token0", "token1"], [])


def test_nothing_that_writes_is_sent_in_a_rehearsal(api: Api) -> None:
    made, _ = connector(api)
    made.refuse_writes()
    with pytest.raises(Refused, match="in a rehearsal"):
        made.client.post(f"{api.address}/items", json={})
    with pytest.raises(Refused, match="in a rehearsal"):
        made.insert("items", {}, idempotency_key="a")
    assert read(made) == [[]]
    assert api.asked == ["GET /items?size=10&offset=0"]


@pytest.mark.parametrize(
    "config",
    [
        {"HOST": "api.example.com"},
        {"TIMEOUT": "long"},
        {"RETRIES": "many"},
        {"MAX_WAIT": -1},
        {"RATE": "often"},
        {"AUTH": "magic"},
        {"AUTH": "bearer"},
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(api: Api, config: dict[str, Any]) -> None:
    def connect_and_read() -> None:
        made = Plain({"HOST": api.address, **config})
        _OPEN.append(made)
        read(made)

    with pytest.raises(SpecError):
        connect_and_read()


def test_not_more_calls_than_the_rate_are_made(api: Api) -> None:
    made, waits = connector(api, RATE="2/day")

    def give_up(seconds: float) -> None:
        raise TimeoutError("it waits for room")

    made.caller = Caller(made.config, sleep=give_up)
    read(made)
    read(made)
    with pytest.raises(TimeoutError):
        read(made)
    assert (len(api.asked), waits) == (2, [])


SECRET = "hunter2-and-more"


@pytest.mark.parametrize(
    "fault", ["401", "400", "429", "html", "error in 200", "reset before", "elsewhere", "nan"]
)
def test_no_secret_is_in_what_is_said(api: Api, fault: str, settings: Any) -> None:
    config = {
        "HOST": api.address,
        "TOKEN": SECRET,
        "AUTH": {"header": "X-Api-Key"},
        "RETRIES": 0,
    }
    settings.DATA_MIGRATION_CONNECTORS = {"atlas": config}
    resource = Resource("/items", parameters={"api_key": SECRET, "way": "link"})
    cls = type(
        "Leaky", (HttpConnector,), {"resources": {"items": resource}, "pages_by": LinkHeader()}
    )
    made, _ = connector(api, cls, **config)
    api.elsewhere = f"http://user:{SECRET}@elsewhere.invalid"
    api.next(fault)
    with pytest.raises(RemoteError) as raised:
        read(made)
    seen: BaseException | None = raised.value
    while seen is not None:
        assert SECRET not in words(seen)
        seen = seen.__cause__
