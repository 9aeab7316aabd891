"""Check one migration and look at what is found."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, run_checks
from django.db.models import Model

from data_migration import Migration
from data_migration.checks import TAG, check_specs
from tests.apps.shop.models import Product
from tests.support.specs import App


class Sound(Migration):
    query = "SELECT id, name, brand, tags FROM old"
    model = Product
    source = "legacy"


def spec(*bases: type, **attributes: Any) -> type[Migration]:
    return type("SomeMigration", bases or (Sound,), attributes)


def check(**attributes: Any) -> dict[str, CheckMessage]:
    """What is found in one migration with these attributes, by number."""
    return numbered(check_specs({"shop.SomeMigration": spec(**attributes)}))


def column(model: type[Model], name: str, description: Any) -> dict[str, CheckMessage]:
    """What is found in a migration into ``model`` that describes one column."""
    return check(model=model, column_description={name: description})


def found_in(app: App) -> dict[str, CheckMessage]:
    """What is found in the classes of an app's spec."""
    names = (app.name, f"{app.label}.")
    return numbered([m for m in run_checks(tags=[TAG]) if str(m.obj).startswith(names)])


def numbered(messages: list[CheckMessage]) -> dict[str, CheckMessage]:
    """The messages by number; each says what it is about and what to do."""
    found = {str(message.id).removeprefix("data_migration."): message for message in messages}
    assert len(found) == len(messages), "one fault was reported twice"
    assert all(
        message.obj and message.hint for message in messages if str(message.id)[-4:] > "E002"
    )
    return found


def only(number: str, found: dict[str, CheckMessage]) -> str:
    """The text of the only message, after its number was compared."""
    assert list(found) == [number]
    return f"{found[number].msg} {found[number].hint}"
