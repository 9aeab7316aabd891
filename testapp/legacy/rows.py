"""The rows of the old shop, table by table, all from one dice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypeVar

from . import words

Item = TypeVar("Item")

SEED = 2009
OPENED = datetime(2006, 3, 1, 8, 0, tzinfo=UTC)
DAYS_OPEN = 2800
CUSTOMERS, PRODUCTS, ORDERS = 1600, 800, 2300
FIRST_ORDER = 1001
# The shop got new software then, which wrote dates in another way.
SECOND_SOFTWARE = datetime(2012, 1, 1, tzinfo=UTC)

#: Test accounts: never ordered anything, nobody wants to keep them.
TEST_ACCOUNTS = frozenset({1, 2, 700, 1201})
#: Customers in a group that does not exist any more.
DELETED_GROUP, IN_DELETED_GROUP = 9, frozenset({88, 640, 1313})
#: Products with a label that does not exist any more.
DELETED_LABEL, WITH_DELETED_LABEL = 77, frozenset({150, 599})
#: The two rows that cannot be right.
PRODUCT_WITHOUT_PRICE = 417
ORDER_WITHOUT_CUSTOMER, NO_SUCH_CUSTOMER = 2042, 99999


class Dice:
    """Only ``Random.random`` gives the same numbers in every version of Python."""

    def __init__(self) -> None:
        self._random = Random(SEED)

    def below(self, limit: int) -> int:
        return int(self._random.random() * limit)

    def pick(self, items: Sequence[Item]) -> Item:
        return items[self.below(len(items))]

    def percent(self, chance: int) -> bool:
        return self.below(100) < chance


def groups() -> Iterator[tuple[object, ...]]:
    for number, name, description in words.GROUPS:
        yield number, name, description, number * 10


def customers(dice: Dice) -> Iterator[tuple[object, ...]]:
    for number in range(1, CUSTOMERS + 1):
        given, family = dice.pick(words.GIVEN_NAMES), dice.pick(words.FAMILY_NAMES)
        host = "Test.example" if number in TEST_ACCOUNTS else dice.pick(words.MAIL_HOSTS)
        group = DELETED_GROUP if number in IN_DELETED_GROUP else dice.below(7)
        created = OPENED + timedelta(minutes=dice.below(DAYS_OPEN * 24 * 60))
        yield (
            number,
            f"{given} {family}{dice.pick(['', '', ' ', '   '])}",
            f"{given}.{family}{number}@{host}",
            group,
            "Y" if dice.percent(90) else "N",
            int(created.timestamp()),
        )


def details(dice: Dice) -> Iterator[tuple[object, ...]]:
    for number in range(1, CUSTOMERS + 1):
        if number in TEST_ACCOUNTS or dice.percent(20):
            continue
        phone = f"0{dice.below(900) + 100} {dice.below(900_000) + 100_000} "
        yield number, phone, _birthday(dice), "Y" if dice.percent(40) else "N"


def _birthday(dice: Dice) -> str:
    if dice.percent(30):
        return dice.pick(["", "00.00.0000"])
    return f"{dice.below(28) + 1:02}.{dice.below(12) + 1:02}.{dice.below(60) + 1930}"


def categories() -> Iterator[tuple[object, ...]]:
    """The children have the lower numbers: their parents were added in a later tidying up."""
    number = 0
    top = sum(len(names.split(",")) for names in words.CATEGORIES.values())
    for position, names in enumerate(words.CATEGORIES.values(), 1):
        for child in names.split(","):
            number += 1
            yield number, top + position, child + " ", number
    for position, name in enumerate(words.CATEGORIES, 1):
        yield top + position, 0, name, position


def labels() -> Iterator[tuple[object, ...]]:
    yield from enumerate(words.LABELS, 1)


def products(dice: Dice, category_count: int) -> Iterator[tuple[object, ...]]:
    for number in range(1, PRODUCTS + 1):
        title = f"{dice.pick(words.QUALITIES)} {dice.pick(words.THINGS)} No. {dice.below(9) + 1}"
        yield (
            number,
            f"K-{number:05}{dice.pick(['', '  '])}",
            title + dice.pick(["", " "]),
            dice.below(category_count + 1),
            _price(dice, number),
            _label_list(dice, number),
            "Y" if dice.percent(15) else "N",
        )


def _price(dice: Dice, number: int) -> str:
    price = f"{dice.below(150) + 2}{dice.pick(['.', '.', ','])}{dice.pick(['00', '50', '90'])}"
    return "n/a" if number == PRODUCT_WITHOUT_PRICE else price


def _label_list(dice: Dice, number: int) -> str | None:
    chosen = {dice.below(len(words.LABELS)) + 1 for _ in range(dice.below(5))}
    if number in WITH_DELETED_LABEL:
        chosen.add(DELETED_LABEL)
    return ",".join(str(label) for label in sorted(chosen)) or dice.pick(["", None])


def orders(dice: Dice) -> Iterator[tuple[object, ...]]:
    buyers = [number for number in range(1, CUSTOMERS + 1) if number not in TEST_ACCOUNTS]
    for index in range(ORDERS):
        number = FIRST_ORDER + index
        placed = OPENED + timedelta(days=DAYS_OPEN * index // ORDERS, minutes=dice.below(840))
        shipped = placed + timedelta(hours=dice.below(90) + 2)
        buyer = dice.pick(buyers)
        yield (
            number,
            f"{placed:%y}/{number} ",
            NO_SUCH_CUSTOMER if number == ORDER_WITHOUT_CUSTOMER else buyer,
            _moment(placed),
            "00.00.0000 00:00" if dice.percent(4) else _moment(shipped),
            "Y" if dice.percent(93) else "N",
            dice.pick(words.NOTES) if dice.percent(8) else None,
        )


def _moment(moment: datetime) -> str:
    first_software = moment < SECOND_SOFTWARE
    return f"{moment:%d.%m.%Y %H:%M}" if first_software else f"{moment:%Y-%m-%d %H:%M:%S}"


def order_lines(dice: Dice) -> Iterator[tuple[object, ...]]:
    """Neither of the two wrong rows has order lines, so they take nothing down with them."""
    for order in range(FIRST_ORDER, FIRST_ORDER + ORDERS):
        if order == ORDER_WITHOUT_CUSTOMER:
            continue
        chosen = {dice.below(PRODUCTS) + 1 for _ in range(1 + dice.below(3))}
        for product in sorted(chosen - {PRODUCT_WITHOUT_PRICE}):
            yield order, product, dice.below(4) + 1, (dice.below(150) + 2) * 100 + dice.below(100)
