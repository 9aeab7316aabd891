from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("filiale.php", views.old_store),
    path("stores/<int:pk>/", views.store, name="store"),
]
