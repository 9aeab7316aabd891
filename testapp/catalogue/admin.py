from __future__ import annotations

from django.contrib import admin

from .models import Category, Label, Product

admin.site.register([Category, Label, Product])
