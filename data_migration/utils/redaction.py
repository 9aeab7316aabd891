"""Passwords out of every text that a person may read.

The secrets are looked up in the settings each time, which works for whatever connection the text
came from. What follows from a setting is remembered: each message of a failed row asks for it.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from django.db import connections

from ..conf import settings

MASK = "***"
SECRET_KEYS = frozenset(
    {"password", "passwd", "passphrase", "pwd", "secret", "token", "credential"}
    | {"api_key", "apikey", "api-key", "access_key", "access-key", "private_key", "private-key"}
)

#: Shorter secrets are masked as whole words only: masking every "a" would leave no message.
_SHORT = 4

# In each pattern the group ``secret`` is what gets masked. None of them may look further from
# every letter of a long word: a message can quote a text of a megabyte.

_WORDS = "|".join(sorted(SECRET_KEYS, key=len, reverse=True))
#: ``PWD={a;b}``, ``password: x``, ``"token": "x"``, ``{'api_key': 'x'}``. MySQL's "using password:
#: YES" says no more than that there was one, and a list is what a form says about a field.
_ASSIGNMENT = re.compile(
    rf"""(?<![\w-])[\w-]*?(?:{_WORDS}|(?<![A-Za-z0-9])pass)s?['"]?\s*(?:=>|:=|[=:])\s*
        (?!(?:YES|NO)\b|[\[(])
        (?P<secret>\{{(?:[^}}]|\}}\}})*\}}?|[bu]?'(?:[^'\\]|\\.)*'?|[bu]?"(?:[^"\\]|\\.)*"?
        |[^\s;,&)\]}}'"]+)""",
    re.IGNORECASE | re.VERBOSE,
)
#: The password of an address, with the user where the web has it: a token is a user there.
_USER_INFO = re.compile(
    r"(?<![\w+.-])(?!https?:)[\w+.-]+://[^\s:/@]*:(?P<secret>\S{1,999})(?=@)", re.I
)
_WEB_USER_INFO = re.compile(r"(?<![\w+.-])https?://(?P<secret>[^\s/?#]+)(?=@)", re.I)
#: ``?key=...&sig=...``: which of the values are secrets only their server knows.
_QUERY = re.compile(r"""[?&#](?:amp;)?[\w.~%\[\]-]+=(?P<secret>[^\s&#'"<>]+)""")
#: ``Authorization: Bearer x``, ``X-Api-Key: x``, ``{"Cookie": "a=b; c=d"}``.
_HEADER = re.compile(
    r"""(?<![\w-])(?:(?:proxy-)?authorization|x-[a-z-]{0,40}(?:auth|key|signature)[a-z-]{0,40}
            |(?P<cookie>(?:set-)?cookie))['"]?\s*[:=]\s*['"]?
        (?P<secret>(?(cookie)[^\s=;,'"]+=[^\s;,'"]*(?:;\s*[^\s=;,'"]+(?:=[^\s;,'"]*)?)*
            |(?:[a-z][\w-]*\s+(?=\S))?
             (?:\w+=(?:"[^"]*"|[^\s,'"]+)(?:\s*,\s*\w+=(?:"[^"]*"|[^\s,'"]+))*|[^\s,'"]+)))""",
    re.IGNORECASE | re.VERBOSE,
)
_BEARER = re.compile(r"\bbearer\s+(?!auth\w*\b|tokens?\b)(?P<secret>[\w.~+/=-]{6,})", re.I)
_BASIC = re.compile(r"\bbasic\s+(?P<secret>[\w+/-]{4,}={0,2})", re.I)

#: In this order: what the first has masked is a value like others for those behind it.
_PATTERNS = (_HEADER, _ASSIGNMENT, _USER_INFO, _WEB_USER_INFO, _QUERY, _BEARER, _BASIC)

#: ``joe:x@db`` as a NAME or HOST, and ``joe:x`` or ``joe/x`` as a USER.
_SIGN_ON = re.compile(r"^[^\s:/@]+[:/](?P<secret>\S+)@")
_USER = re.compile(r"^[^\s:/@]+[:/](?P<secret>[^\s@]+)$")


#: Of accounts that are kept elsewhere than in the settings, as far as one was used here.
_kept: set[str] = set()


def keep_secret(config: Mapping[str, Any]) -> None:
    """Take the secrets in the entry of an account for configured ones, wherever it came from."""
    _kept.update(_secrets_in(config))


def redact(text: str) -> str:
    """``text`` with every configured secret, and whatever looks like one, replaced by ``***``."""
    text = without_configured(text)
    for pattern in _PATTERNS:
        text = pattern.sub(_masked, text)
    return text


def without_configured(text: str) -> str:
    """``text`` with the configured secrets alone replaced: for values, which may look like much.

    Configured is what stands under the name of a secret, and what a NAME, HOST or USER has in it.
    """
    configured = (settings.sources, settings.connectors, connections.settings)
    secrets = frozenset(_kept.union(*map(_secrets_in, configured)))
    for secret in _spellings(secrets):
        if len(secret) >= _SHORT:
            text = text.replace(secret, MASK)
        else:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
    return text


@lru_cache(maxsize=4)
def _spellings(secrets: frozenset[str]) -> list[str]:
    """As they are, and as a URL, an ODBC string, a Python or an SQL literal spells them.

    The longest first, since it may have another in it.
    """
    spellings: set[str] = set()
    for secret in secrets:
        spellings |= {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
        spellings |= {secret.replace("}", "}}"), repr(secret)[1:-1], secret.replace("'", "''")}
    return sorted(spellings, key=len, reverse=True)


@lru_cache(maxsize=256)
def is_secret_key(key: str) -> bool:
    """Whether an option of this name holds a secret."""
    return any(word in key.lower() for word in SECRET_KEYS)


def _masked(match: re.Match[str]) -> str:
    whole, start = match[0], match.start()
    if match.re is _BASIC and not _is_user_and_password(match["secret"]):
        return whole
    return f"{whole[: match.start('secret') - start]}{MASK}{whole[match.end('secret') - start :]}"


def _is_user_and_password(text: str) -> bool:
    """Whether it is what HTTP makes of ``user:password``; "basic information" is not."""
    try:
        return b":" in b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except NotBase64:
        return False


def _secrets_in(config: Any) -> Iterator[str]:
    """The secrets in the settings of connections, however deep."""
    if not isinstance(config, Mapping):
        return
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _secrets_in(value)
        elif not isinstance(value, str | int) or isinstance(value, bool) or not str(value):
            continue
        elif is_secret_key(str(key)):
            yield str(value)
        elif isinstance(value, str):
            yield from _secrets_of_address(value, is_user=str(key).upper() in ("USER", "UID"))


@lru_cache(maxsize=256)
def _secrets_of_address(text: str, *, is_user: bool) -> frozenset[str]:
    """The passwords in a URL, a DSN, or whatever else a person took for the name of a database."""
    patterns = [_ASSIGNMENT, _USER_INFO, _WEB_USER_INFO, _SIGN_ON]
    found: set[str] = set()
    for pattern in [*patterns, _USER] if is_user else patterns:
        for match in pattern.finditer(text):
            secret = match["secret"].strip("'\"{}")
            found |= {secret, unquote(secret)}
    return frozenset(found - {"", MASK})
