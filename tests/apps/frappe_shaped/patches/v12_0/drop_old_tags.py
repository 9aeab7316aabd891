"""Tags that nobody wants."""

from tests.apps.shop.models import Tag


def execute():
    Tag.objects.filter(name__startswith="old ").delete()
