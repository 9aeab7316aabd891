"""The demo project: a small old shop moves into Django. Start with ``python manage.py demo``."""
