"""The market place where other shops sell as well: how it is spoken to.

By hand and with the standard library, to show what a connector is made of: one small method for
each thing that the other side can do.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from data_migration.sync import (
    AuthFailed,
    Conflict,
    Connector,
    Gone,
    Page,
    Refused,
    Transient,
    Uncertain,
    Written,
)

#: What an answer that is an error means.
ERRORS = {401: AuthFailed, 403: AuthFailed, 404: Gone, 412: Conflict}


class Market(Connector):
    def ping(self) -> str:
        self._call("GET", "/articles?limit=1")
        return f"the market at {self.config['HOST']} answers"

    def pages(
        self,
        objectname: str,
        *,
        since: Any = None,
        fields: Collection[str] = (),
        size: int,
    ) -> Iterator[Page]:
        path = f"/{objectname}?" + urlencode({"limit": size, "changed_after": since or 0})
        while path:
            answer = self._call("GET", path)
            yield Page(answer["articles"], is_sorted=True)
            path = answer.get("next", "")

    def get(self, objectname: str, key: Any) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = self._call("GET", f"/{objectname}/{key}")
        except Gone:
            return None
        return found

    def find(self, objectname: str, values: Mapping[str, Any]) -> Mapping[str, Any] | None:
        found = self._call("GET", f"/{objectname}?" + urlencode({"sku": values["sku"]}))
        return next(iter(found["articles"]), None)

    def version(self, objectname: str, row: Mapping[str, Any]) -> str | None:
        return f'"{row["change"]}"'

    def remembers(self, objectname: str) -> float:
        return 24 * 3600

    def insert(
        self, objectname: str, values: Mapping[str, Any], *, idempotency_key: str
    ) -> Written:
        path, headers = f"/{objectname}", {"Idempotency-Key": idempotency_key}
        return self._written(self._call("POST", path, values, headers))

    def update(
        self,
        objectname: str,
        key: Any,
        changes: Mapping[str, Any],
        *,
        version: str | None = None,
    ) -> Written:
        headers = {"If-Match": version} if version else {}
        return self._written(self._call("PATCH", f"/{objectname}/{key}", changes, headers))

    def delete(self, objectname: str, key: Any, *, version: str | None = None) -> None:
        self._call("DELETE", f"/{objectname}/{key}")

    def _written(self, row: Mapping[str, Any]) -> Written:
        return Written(row["id"], row, self.version("articles", row))

    def _call(
        self, method: str, path: str, values: Any = None, headers: Mapping[str, str] = {}
    ) -> Any:
        body = None if values is None else json.dumps(values).encode()
        own = {"Authorization": f"Bearer {self.config['TOKEN']}"}
        request = Request(self.config["HOST"] + path, body, {**own, **headers}, method=method)
        try:
            with urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or b"null")
        except HTTPError as error:
            with error:
                said = json.loads(error.read())["error"]
            raise ERRORS.get(error.code, Transient if error.code >= 500 else Refused)(
                said
            ) from None
        except URLError as error:
            if isinstance(error.reason, ConnectionRefusedError):  # nothing was sent
                raise Transient(f"the market at {self.config['HOST']} is closed") from None
            raise Uncertain(f"{method} {path}: {error.reason}") from None
