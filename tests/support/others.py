"""Other people's packages, and test apps that use them: installed while their tests run."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.contenttypes.management import create_contenttypes
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import override_settings

from tests.support.absence import absent


@contextmanager
def installed(app: str, *packages: str, **changed: Any) -> Iterator[ModuleType]:
    """The models of ``tests.others.APP``, with ``packages`` and their tables, until the end.

    ``changed`` are settings. Not within a transaction, since tables are made. Skips where a
    package is absent.
    """
    for package in packages:
        if find_spec(package.partition(".")[0]) is None:
            absent(f"the package {package} is not installed")
    names = [f"tests.others.{app}", *packages]
    listed = [*packages, *settings.INSTALLED_APPS, names[0]]
    # Settings first: packages read them when they are imported.
    with override_settings(**changed), override_settings(INSTALLED_APPS=listed):
        configs = [each for each in apps.get_app_configs() if each.name in names]
        models = [model for each in configs for model in each.get_models()]
        with connection.schema_editor() as editor:
            for model in models:
                editor.create_model(model)
        for config in configs:
            create_contenttypes(config, verbosity=0)
        try:
            yield importlib.import_module(f"{names[0]}.models")
        finally:
            ContentType.objects.filter(app_label__in=[each.label for each in configs]).delete()
            ContentType.objects.clear_cache()
            with connection.constraint_checks_disabled(), connection.schema_editor() as editor:
                for model in reversed(models):
                    editor.delete_model(model)
