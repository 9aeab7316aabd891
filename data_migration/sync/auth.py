"""How an account proves who it is: what stands in the headers of each call."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..exceptions import AuthFailed, SpecError

#: Sends a form to an address and returns what the answer says.
SendForm = Callable[[str, Mapping[str, str]], Any]

#: A token that lasts for fewer seconds than this is renewed before it is used.
_LEFT = 30


class Auth(Protocol):
    """Headers of one account."""

    def headers(self, send: SendForm) -> Mapping[str, str]:
        """Those of the next call."""

    def renew(self) -> bool:
        """The last call was not let in: whether another try, with other headers, makes sense."""


class Fixed:
    """The same headers for each call."""

    def __init__(self, **headers: str) -> None:
        self._headers = headers

    def headers(self, send: SendForm) -> Mapping[str, str]:
        return self._headers

    def renew(self) -> bool:
        return False


class OAuth2:
    """A token that the account gets for its id and secret (client credentials), and renews."""

    def __init__(self, url: str, client: str, secret: str, scope: str = "") -> None:
        self._url, self._client, self._secret, self._scope = url, client, secret, scope
        self._token = ""
        self._until = 0.0

    def headers(self, send: SendForm) -> Mapping[str, str]:
        if not self._token or time.monotonic() > self._until:
            asked = {
                "grant_type": "client_credentials",
                "client_id": self._client,
                "client_secret": self._secret,
                **({"scope": self._scope} if self._scope else {}),
            }
            answer = send(self._url, asked)
            token = answer.get("access_token") if isinstance(answer, Mapping) else None
            if not token:
                raise AuthFailed(f"{self._url} gave no access_token")
            self._token = str(token)
            lasts = answer.get("expires_in")
            self._until = time.monotonic() + float(3600 if lasts is None else lasts) - _LEFT
        return {"Authorization": f"Bearer {self._token}"}

    def renew(self) -> bool:
        had_one, self._token = bool(self._token), ""
        return had_one


def auth_of(config: Mapping[str, Any]) -> Auth:
    """What AUTH, USER, PASSWORD and TOKEN of an account come to. Raises :exc:`SpecError`.

    Without AUTH a TOKEN is a bearer's, and USER and PASSWORD are basic ones.
    """
    user, password = str(config.get("USER") or ""), str(config.get("PASSWORD") or "")
    token = str(config.get("TOKEN") or "")
    kind = config.get("AUTH") or ("bearer" if token else "basic" if user else "")
    if kind == "":
        return Fixed()
    if kind == "basic":
        pair = b64encode(f"{user}:{password}".encode()).decode()
        return Fixed(Authorization=f"Basic {pair}")
    if kind == "bearer" and token:
        return Fixed(Authorization=f"Bearer {token}")
    if isinstance(kind, Mapping) and token and (header := kind.get("header")):
        return Fixed(**{str(header): f"{kind.get('prefix', '')}{token}"})
    if isinstance(kind, Mapping) and (url := kind.get("oauth2")):
        return OAuth2(str(url), user, password, str(kind.get("scope") or ""))
    raise SpecError(
        'AUTH has to be "basic" (USER, PASSWORD), "bearer" (TOKEN), {"header": "X-Api-Key"}'
        ' (TOKEN), or {"oauth2": "https://.../token", "scope": "..."} (USER is the client\'s id,'
        " PASSWORD its secret)."
    )
