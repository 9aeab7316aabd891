from __future__ import annotations

from django.contrib import admin

from .models import Customer, CustomerGroup, Profile

admin.site.register([Customer, CustomerGroup, Profile])
