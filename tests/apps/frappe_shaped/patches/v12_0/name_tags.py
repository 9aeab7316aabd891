from tests.apps.shop.models import Tag


def execute():
    """Give a name to tags without one."""
    Tag.objects.filter(name="").update(name="none")
