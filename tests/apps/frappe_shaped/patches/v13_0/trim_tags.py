from tests.apps.shop.models import Tag


def execute():
    for tag in Tag.objects.all():
        tag.name = tag.name.strip()
        tag.save()
