"""Models of every shape that the engine has to fill."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import F


class Everything(models.Model):
    """One nullable field of each type."""

    text = models.CharField(max_length=100, null=True)
    long_text = models.TextField(null=True)
    slug = models.SlugField(null=True)
    email = models.EmailField(null=True)
    url = models.URLField(null=True)
    file = models.FileField(null=True, max_length=100)
    integer = models.IntegerField(null=True)
    small = models.SmallIntegerField(null=True)
    big = models.BigIntegerField(null=True)
    positive = models.PositiveIntegerField(null=True)
    positive_small = models.PositiveSmallIntegerField(null=True)
    positive_big = models.PositiveBigIntegerField(null=True)
    real = models.FloatField(null=True)
    decimal = models.DecimalField(null=True, max_digits=12, decimal_places=3)
    boolean = models.BooleanField(null=True)
    date = models.DateField(null=True)
    date_time = models.DateTimeField(null=True)
    time = models.TimeField(null=True)
    duration = models.DurationField(null=True)
    uuid = models.UUIDField(null=True)
    binary = models.BinaryField(null=True)
    json = models.JSONField(null=True)
    address = models.GenericIPAddressField(null=True)


class UpperField(models.CharField):  # type: ignore[type-arg]
    """A user's own field with a conversion of its own."""

    def to_python(self, value: Any) -> Any:
        return None if value is None else str(value).upper()


class Custom(models.Model):
    """A user's own field, a property, and a column that the database computes."""

    upper = UpperField(max_length=20, default="")
    width = models.IntegerField(default=0)
    double = models.GeneratedField(
        expression=F("width") * 2, output_field=models.IntegerField(), db_persist=True
    )

    @property
    def centimetres(self) -> int:
        return self.width

    @centimetres.setter
    def centimetres(self, value: int) -> None:
        self.width = value * 10

    @property
    def readable_only(self) -> int:
        return self.width


class Brand(models.Model):
    name = models.CharField(max_length=50)
    code = models.CharField(max_length=20, unique=True)
    number = models.IntegerField(unique=True, null=True)


class BrandProfile(models.Model):
    brand = models.OneToOneField(Brand, models.CASCADE, related_name="profile")
    code = models.CharField(max_length=20)


class Tag(models.Model):
    name = models.CharField(max_length=50)


class Supplier(models.Model):
    name = models.CharField(max_length=50)


class Product(models.Model):
    """The usual model: a unique field, foreign keys, many-to-manys."""

    sku = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=20)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    email = models.EmailField(blank=True, default="")
    brand = models.ForeignKey(Brand, models.CASCADE, null=True, related_name="products")
    maker = models.ForeignKey(
        Brand, models.CASCADE, null=True, to_field="code", related_name="made"
    )
    tags = models.ManyToManyField(Tag, related_name="products")
    suppliers = models.ManyToManyField(Supplier, through="Supply")


class Supply(models.Model):
    """A join table with a column of its own."""

    product = models.ForeignKey(Product, models.CASCADE)
    supplier = models.ForeignKey(Supplier, models.CASCADE)
    kind = models.CharField(max_length=10, default="regular")


class Detail(models.Model):
    product = models.OneToOneField(Product, models.CASCADE)
    text = models.CharField(max_length=50, default="")


class Review(models.Model):
    """A foreign key that may not be NULL."""

    product = models.ForeignKey(Product, models.CASCADE)
    text = models.CharField(max_length=50, default="")


class Category(models.Model):
    """A tree, and links to itself of both kinds."""

    name = models.CharField(max_length=50, unique=True)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    related = models.ManyToManyField("self")
    followers = models.ManyToManyField("self", symmetrical=False, related_name="followed")


class Box(models.Model):
    """An empty one is false, as whatever has a length is."""

    name = models.CharField(max_length=50, unique=True)
    inside = models.ForeignKey("self", models.CASCADE, null=True, related_name="holds")
    beside = models.ManyToManyField("self", symmetrical=False)

    def __len__(self) -> int:
        return 0


class Rooted(models.Model):
    """A tree whose roots name themselves."""

    parent = models.ForeignKey("self", models.CASCADE)


class Shouting(models.Model):
    """``save()`` does something."""

    name = models.CharField(max_length=50)

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.name = self.name.upper()
        super().save(*args, **kwargs)


class Watched(models.Model):
    """Tests connect signal receivers to it."""

    name = models.CharField(max_length=50)
    tags = models.ManyToManyField(Tag)


class Place(models.Model):
    name = models.CharField(max_length=50)


class Restaurant(Place):
    """Lives in two tables."""

    stars = models.IntegerField()


class Stamped(models.Model):
    """Fields that Django fills with the current time."""

    name = models.CharField(max_length=50)
    added = models.DateTimeField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)
    added_on = models.DateField(auto_now_add=True)
    changed_at = models.TimeField(auto_now=True)


class Token(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=50)


class Country(models.Model):
    code = models.CharField(primary_key=True, max_length=2)
    name = models.CharField(max_length=50)
    neighbours = models.ManyToManyField("self", symmetrical=False)


class Log(models.Model):
    """What hooks write to."""

    text = models.CharField(max_length=50, unique=True)


class Bounded(models.Model):
    """Constraints that no single field declares."""

    name = models.CharField(max_length=20)
    low = models.IntegerField(default=0)
    high = models.IntegerField(default=9)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(low__lte=models.F("high")), name="in_order"),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(low__gte=5), name="one_high_of_a_name"
            ),
        ]


class Seat(models.Model):
    """People may change places: who sits where is checked at the commit, by PostgreSQL."""

    name = models.CharField(max_length=20)
    row = models.IntegerField(default=1)
    place = models.IntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["row", "place"], name="one_each", deferrable=models.Deferrable.DEFERRED
            )
        ]
