"""The default admin site, and a second one that shows the same pages."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from data_migration.admin import register

office = admin.AdminSite(name="office")
register(office)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("office/", office.urls),
]
