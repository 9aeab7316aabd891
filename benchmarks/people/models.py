"""The shape of the well-known *employees* sample: a plain table, a foreign key, a many-to-many."""

from __future__ import annotations

from django.db import models


class Department(models.Model):
    name = models.CharField(max_length=40)


class Employee(models.Model):
    birth_date = models.DateField()
    first_name = models.CharField(max_length=20)
    last_name = models.CharField(max_length=20)
    gender = models.CharField(max_length=1)
    hire_date = models.DateField()


class Title(models.Model):
    employee = models.ForeignKey(Employee, models.CASCADE)
    title = models.CharField(max_length=50)
    from_date = models.DateField()
    to_date = models.DateField(null=True)


class Member(models.Model):
    first_name = models.CharField(max_length=20)
    last_name = models.CharField(max_length=20)
    departments = models.ManyToManyField(Department)
