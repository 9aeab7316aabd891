"""Passwords out of every text that a person may read.

The secrets are looked up in the settings each time: that is only done for errors, and it works
for whatever connection the text came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from django.db import connections

from ..conf import settings

MASK = "***"
SECRET_KEYS = frozenset({"password", "passwd", "passphrase", "pwd", "secret", "token"})

#: Shorter secrets are masked as whole words only: masking every "a" would leave no message.
_SHORT = 4

_ASSIGNMENT = re.compile(
    r"""\b(?P<key>\w*(?:password|passwd|passphrase|pwd|secret|token))(?P<equals>\s*=\s*)
        (?:\{(?:[^}]|\}\})*\}?|'(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?|[^\s;,&)'"]+)""",
    re.IGNORECASE | re.VERBOSE,
)
_URL_PASSWORD = re.compile(r"(?P<start>\w+://[^\s:/@]*:)[^\s/]+(?=@)")


def redact(text: str) -> str:
    """``text`` with every configured secret, and whatever looks like one, replaced by ``***``."""
    spellings: set[str] = set()
    for secret in (*_secrets_in(settings.sources), *_secrets_in(connections.settings)):
        # As it is, and as a URL, an ODBC string, a Python or an SQL literal spells it.
        spellings |= {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
        spellings |= {secret.replace("}", "}}"), repr(secret)[1:-1], secret.replace("'", "''")}
    for secret in sorted(spellings, key=len, reverse=True):
        if len(secret) >= _SHORT:
            text = text.replace(secret, MASK)
        else:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
    text = _ASSIGNMENT.sub(rf"\g<key>\g<equals>{MASK}", text)
    return _URL_PASSWORD.sub(rf"\g<start>{MASK}", text)


def is_secret_key(key: str) -> bool:
    """Whether an option of this name holds a secret."""
    return any(word in key.lower() for word in SECRET_KEYS)


def _secrets_in(config: Mapping[str, Any]) -> Iterator[str]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _secrets_in(value)
        elif is_secret_key(str(key)) and isinstance(value, str | int) and str(value):
            yield str(value)
