from tests.apps.shop.models import Tag


def execute():
    Tag.objects.create(name="added")
