"""What is found in the apps of one test."""

from __future__ import annotations

from django.core.checks import CheckMessage

from data_migration.patches.checks import check_patches
from data_migration.patches.definition import Definition
from data_migration.patches.discovery import discover, find
from tests.support.specs import App


def patches_of(*apps: App) -> list[Definition]:
    """The patches of these apps, in the order of all; there is no fault."""
    labels = {app.label for app in apps}
    return [each for each in discover() if each.app_label in labels]


def labels_of(*apps: App) -> list[str]:
    return [each.label for each in patches_of(*apps)]


def faults_of(*apps: App) -> list[tuple[str, str, str]]:
    """Number, place and sentence of each fault, the place from the app's folder on."""
    return [_told(each, apps) for each in find().faults]


def checked(*apps: App) -> list[tuple[str, str, str]]:
    """As :func:`faults_of`, of what ``manage.py check`` shows of patches; each says what to do."""
    messages = check_patches()
    assert all(each.hint and each.obj for each in messages)
    return [_told(each, apps) for each in messages]


def _told(message: CheckMessage, apps: tuple[App, ...]) -> tuple[str, str, str]:
    about, sentence = str(message.obj), message.msg
    for app in apps:
        about = about.replace(f"{app.folder}/", "").replace(app.name, app.label)
        sentence = sentence.replace(f"{app.folder}/", "").replace(app.name, app.label)
    return str(message.id).removeprefix("data_migration."), about, sentence
