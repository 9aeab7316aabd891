"""Mail is held back with either way of configuring it; commands prove it in test_rehearsal."""

from __future__ import annotations

from typing import Any

import django
import pytest
from django.conf import settings as django_settings
from django.core import mail

from data_migration.compat import no_mail

BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def send() -> None:
    mail.EmailMessage("Subject", "Body", "a@example.org", ["b@example.org"]).send()


@pytest.mark.filterwarnings("ignore:.*MAILERS")  # still allowed in Django 6.1, with a warning
def test_email_backend(settings: Any) -> None:
    settings.EMAIL_BACKEND = BACKEND
    with no_mail():
        send()
    assert mail.outbox == []
    send()
    assert len(mail.outbox) == 1


@pytest.mark.skipif(django.VERSION < (6, 1), reason="MAILERS came with Django 6.1")
def test_mailers_keep_their_names(settings: Any) -> None:
    settings.MAILERS = {"default": {"BACKEND": BACKEND}, "news": {"BACKEND": BACKEND}}
    with no_mail():
        assert set(django_settings.MAILERS) == {"default", "news"}
        send()
    assert mail.outbox == []
    send()
    assert len(mail.outbox) == 1


@pytest.mark.filterwarnings("ignore:.*MAILERS")
def test_it_ends_with_an_error_too(settings: Any) -> None:
    settings.EMAIL_BACKEND = BACKEND
    with pytest.raises(ZeroDivisionError), no_mail():
        raise ZeroDivisionError
    send()
    assert len(mail.outbox) == 1
