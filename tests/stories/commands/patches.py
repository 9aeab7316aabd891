"""Patches of an app for the tests of the commands, and the screens that these give."""

from __future__ import annotations

import re

from tests.apps.library.testing import Result, give, timeless
from tests.apps.shop.models import Tag

WORDS = '''
from data_migration.patches import Patch, patch
from tests.apps.shop.models import Tag

class Shout(Patch):
    """Write tags in capitals."""
    batch_size = 2
    def queryset(self):
        return Tag.objects.exclude(name="")
    def process(self, tag):
        if tag.name.startswith("bad"):
            raise ValueError("that is a bad word")
        tag.name = tag.name.upper()

@patch(depends_on=["shout"])
def count(ctx):
    """Count the tags."""
    ctx.log(f"{Tag.objects.count()} tags")
'''


def run(*arguments: str) -> Result:
    """``manage.py run_patches`` without progress, with times and paths as in every run."""
    return _same(give("run_patches", *arguments, "--no-progress"))


def show(*arguments: str) -> Result:
    return _same(give("show_patches", *arguments))


def _same(result: Result) -> Result:
    return Result(result.code, _timeless(result.out), _timeless(result.err))


def _timeless(text: str) -> str:
    text = re.sub(r"  \d\d:\d\d  ", "  12:00  ", timeless(text))
    return re.sub(r'(?:[^\s"]*/)?words_[0-9a-f]{8}/', "words/", text)


def tags(*names: str) -> list[str]:
    """Create tags; returns their keys."""
    Tag.objects.bulk_create(Tag(name=name) for name in names)
    return [str(key) for key in Tag.objects.order_by("pk").values_list("pk", flat=True)]


def names() -> list[str]:
    return list(Tag.objects.order_by("pk").values_list("name", flat=True))
