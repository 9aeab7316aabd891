"""A music shop: what the Chinook database is moved into."""

from __future__ import annotations

from django.db import models


class Artist(models.Model):
    name = models.CharField(max_length=120, null=True)


class Album(models.Model):
    title = models.CharField(max_length=160)
    artist = models.ForeignKey(Artist, models.CASCADE)


class Genre(models.Model):
    name = models.CharField(max_length=120, null=True)


class MediaType(models.Model):
    name = models.CharField(max_length=120, null=True)


class Track(models.Model):
    name = models.CharField(max_length=200)
    album = models.ForeignKey(Album, models.CASCADE, null=True)
    media_type = models.ForeignKey(MediaType, models.CASCADE)
    genre = models.ForeignKey(Genre, models.CASCADE, null=True)
    composer = models.CharField(max_length=220, null=True)
    milliseconds = models.PositiveIntegerField()
    size = models.PositiveIntegerField(null=True)
    price = models.DecimalField(max_digits=10, decimal_places=2)


class Playlist(models.Model):
    name = models.CharField(max_length=120, null=True)
    tracks = models.ManyToManyField(Track)


class Person(models.Model):
    first_name = models.CharField(max_length=40)
    last_name = models.CharField(max_length=20)
    address = models.CharField(max_length=70, null=True)
    city = models.CharField(max_length=40, null=True)
    state = models.CharField(max_length=40, null=True)
    country = models.CharField(max_length=40, null=True)
    postal_code = models.CharField(max_length=10, null=True)
    phone = models.CharField(max_length=24, null=True)
    fax = models.CharField(max_length=24, null=True)
    email = models.EmailField(max_length=60)

    class Meta:
        abstract = True


class Employee(Person):
    title = models.CharField(max_length=30, null=True)
    reports_to = models.ForeignKey("self", models.CASCADE, null=True)
    birth_date = models.DateField(null=True)
    hired_at = models.DateTimeField(null=True)


class Customer(Person):
    company = models.CharField(max_length=80, null=True)
    support = models.ForeignKey(Employee, models.CASCADE, null=True)


class Invoice(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE)
    issued_at = models.DateTimeField()
    address = models.CharField(max_length=70, null=True)
    city = models.CharField(max_length=40, null=True)
    state = models.CharField(max_length=40, null=True)
    country = models.CharField(max_length=40, null=True)
    postal_code = models.CharField(max_length=10, null=True)
    total = models.DecimalField(max_digits=10, decimal_places=2)


class InvoiceLine(models.Model):
    invoice = models.ForeignKey(Invoice, models.CASCADE)
    track = models.ForeignKey(Track, models.CASCADE)
    unit_price = models.DecimalField(max_digits=10, decimal_places=2)
    quantity = models.PositiveIntegerField()
