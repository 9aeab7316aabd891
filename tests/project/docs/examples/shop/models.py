"""The models that the examples fill."""

from __future__ import annotations

from django.db import models


class Country(models.Model):
    code = models.CharField(max_length=2, primary_key=True)
    name = models.CharField(max_length=40)


class Customer(models.Model):
    name = models.CharField(max_length=40)
    country = models.ForeignKey(Country, models.PROTECT, null=True)
    since = models.DateTimeField(auto_now_add=True)
    is_vip = models.BooleanField(default=False)


class Account(models.Model):
    customer = models.OneToOneField(Customer, models.CASCADE)
    credit = models.DecimalField(max_digits=8, decimal_places=2)


class Category(models.Model):
    name = models.CharField(max_length=40)
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")


class Label(models.Model):
    name = models.CharField(max_length=40)


class Product(models.Model):
    sku = models.CharField(max_length=20, unique=True)
    title = models.CharField(max_length=40)
    category = models.ForeignKey(Category, models.PROTECT)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    labels = models.ManyToManyField(Label, related_name="products")
    similar = models.ManyToManyField("self", symmetrical=False)


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="orders")
    placed_at = models.DateTimeField()
    number = models.CharField(max_length=20)
    is_checked = models.BooleanField(default=False)


class Remark(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="remarks")
    text = models.TextField()


class Line(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, models.PROTECT)
    quantity = models.PositiveIntegerField()


class Stock(models.Model):
    sku = models.CharField(max_length=20, unique=True)
    quantity = models.IntegerField()


class LowestStock(models.Model):
    sku = models.CharField(max_length=20, unique=True)
    quantity = models.IntegerField()


class Voucher(models.Model):
    code = models.CharField(max_length=10, unique=True)
    value = models.DecimalField(max_digits=8, decimal_places=2)
