"""Who buys."""

from __future__ import annotations

from django.db import models


class CustomerGroup(models.Model):
    name = models.CharField(max_length=40, unique=True)
    description = models.CharField(max_length=200, blank=True)
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name


class Customer(models.Model):
    name = models.CharField(max_length=80)
    email = models.EmailField(unique=True)
    group = models.ForeignKey(
        CustomerGroup, models.SET_NULL, null=True, blank=True, related_name="customers"
    )
    is_active = models.BooleanField(default=True)
    registered_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Profile(models.Model):
    customer = models.OneToOneField(Customer, models.CASCADE, related_name="profile")
    phone = models.CharField(max_length=30, blank=True)
    born_on = models.DateField(null=True, blank=True)
    wants_newsletter = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"Profile of {self.customer}"
