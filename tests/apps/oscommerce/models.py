"""A shop: what the osCommerce database is moved into."""

from __future__ import annotations

from django.db import models


class Language(models.Model):
    name = models.CharField(max_length=255)
    code = models.CharField(max_length=2, unique=True)


class Country(models.Model):
    name = models.CharField(max_length=255)
    iso2 = models.CharField(max_length=2)
    iso3 = models.CharField(max_length=3)


class Zone(models.Model):
    country = models.ForeignKey(Country, models.CASCADE)
    code = models.CharField(max_length=255)
    name = models.CharField(max_length=255)


class Category(models.Model):
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    image = models.CharField(max_length=255, null=True)
    position = models.IntegerField(null=True)
    added_at = models.DateTimeField(auto_now_add=True)


class CategoryText(models.Model):
    category = models.ForeignKey(Category, models.CASCADE)
    language = models.ForeignKey(Language, models.CASCADE)
    name = models.CharField(max_length=255)
    description = models.TextField(null=True)

    class Meta:
        unique_together = [("category", "language")]


class MenuEntry(models.Model):
    """The categories once more, as a tree whose roots a hook has to find."""

    parent = models.ForeignKey("self", models.CASCADE, null=True)
    position = models.IntegerField(null=True)


class Manufacturer(models.Model):
    name = models.CharField(max_length=255, unique=True)
    image = models.CharField(max_length=255, null=True)


class Product(models.Model):
    article = models.CharField(max_length=255, null=True)
    image = models.CharField(max_length=255, null=True)
    quantity = models.IntegerField()
    price = models.DecimalField(max_digits=15, decimal_places=4)
    weight = models.DecimalField(max_digits=5, decimal_places=2)
    is_on_sale = models.BooleanField()
    manufacturer = models.ForeignKey(Manufacturer, models.CASCADE, null=True)
    added_at = models.DateTimeField()
    changed_at = models.DateTimeField(null=True)
    categories = models.ManyToManyField(Category)


class ProductText(models.Model):
    product = models.ForeignKey(Product, models.CASCADE)
    language = models.ForeignKey(Language, models.CASCADE)
    name = models.CharField(max_length=255)
    description = models.TextField(null=True)
    url = models.CharField(max_length=255, null=True)

    class Meta:
        unique_together = [("product", "language")]


class Option(models.Model):
    name = models.CharField(max_length=255)


class OptionValue(models.Model):
    name = models.CharField(max_length=255)
    products = models.ManyToManyField(Product, through="Attribute")


class Attribute(models.Model):
    """Which values a product may be bought with, and what that costs."""

    product = models.ForeignKey(Product, models.CASCADE)
    option = models.ForeignKey(Option, models.CASCADE)
    value = models.ForeignKey(OptionValue, models.CASCADE)
    price = models.DecimalField(max_digits=15, decimal_places=4)
    prefix = models.CharField(max_length=1)


class Customer(models.Model):
    name = models.CharField(max_length=255)


class Review(models.Model):
    product = models.ForeignKey(Product, models.CASCADE)
    customer = models.ForeignKey(Customer, models.CASCADE, null=True)
    author = models.CharField(max_length=255)
    rating = models.PositiveSmallIntegerField(null=True)
    is_public = models.BooleanField()
    text = models.TextField()


class Special(models.Model):
    product = models.OneToOneField(Product, models.CASCADE)
    price = models.DecimalField(max_digits=15, decimal_places=4)
    is_active = models.BooleanField()
