"""``HttpConnector``: most APIs over HTTP, by nothing but values. The only module with httpx."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from typing import Any, ClassVar, NoReturn
from urllib.parse import quote, urljoin, urlsplit

from django.core.serializers.json import DjangoJSONEncoder

from ..exceptions import (
    AuthFailed,
    Conflict,
    Gone,
    Refused,
    RemoteError,
    SpecError,
    Transient,
    Uncertain,
)
from ..utils.wording import printable_cause, words
from .auth import Auth, auth_of
from .calling import optional
from .connector import Connector, Page, Written
from .paging import Asked, Paging, Single, dig
from .resources import Resource

#: Seconds to connect, and to wait for an answer.
TIMEOUT = (5.0, 30.0)
#: Bytes that an answer may have, unpacked.
MAX_BYTES = 32 * 1024 * 1024
_REDIRECTS = 5
_READING = ("GET", "HEAD")
_SHOWN = 200


class Row(dict[str, Any]):
    """A row that was asked for by itself, with the ETag of the answer."""

    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: ``headers`` in small letters, ``data`` as JSON, None without a body."""

    status: int
    headers: Mapping[str, str]
    data: Any


class HttpConnector(Connector):
    """An API over HTTP with JSON. HOST of the account is the address that paths are added to.

    ``pages_by`` is one of the seven ways of paging, ``resources`` where each kind of row is found,
    ``headers`` what is sent with every call. Credentials never leave the host: links and redirects
    to another one are refused. Numbers with a point are read as :class:`~decimal.Decimal`.
    """

    pages_by: ClassVar[Paging] = Single()
    resources: ClassVar[Mapping[str, Resource]] = {}
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        host = str(config.get("HOST") or "")
        if urlsplit(host).scheme not in ("http", "https") or not urlsplit(host).netloc:
            raise SpecError(
                "HOST has to be the address of the API, such as https://api.example.com/v1."
            )
        self._base = host.rstrip("/") + "/"
        self._auth: Auth = auth_of(config)
        self._may_write = True

    # ------------------------------------------------------------------ what a subclass may use

    def client_options(self) -> dict[str, Any]:
        """Arguments of :class:`httpx.Client` beside those that follow from the account."""
        return {}

    @cached_property
    def client(self) -> Any:
        """The client of httpx, which sends the requests."""
        httpx = optional("httpx", "HttpConnector")
        connecting, answering = _timeout(self.config)
        return httpx.Client(
            timeout=httpx.Timeout(answering, connect=connecting),
            follow_redirects=False,
            event_hooks={"request": [self._look_at]},
            **self.client_options(),
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        may_repeat: bool | None = None,
        error: str = "",
    ) -> Answer:
        """One call, as patiently as the account says, and its answer.

        ``path`` is relative to HOST, or a whole address on it. ``may_repeat`` says whether it may
        be made twice although no answer came; that follows from the method without it. Raises
        what a connector raises.
        """
        if may_repeat is None:
            may_repeat = method in (*_READING, "PUT", "DELETE")
        url = self._address(path)
        content = None if body is None else _json(body)
        call = partial(self._send, method, url, parameters, content, headers or {}, error)
        return self.patiently(call, may_repeat=may_repeat)

    # ------------------------------------------------------------------ a connector

    @classmethod
    def can(cls, capability: str) -> bool:
        """What follows from the resources, beside what is overridden."""
        own = getattr(cls, capability) is not getattr(HttpConnector, capability)
        resources = cls.resources.values()
        if not own and capability == "find":
            return any(each.find for each in resources)
        if not own and capability == "version":
            return any(each.version for each in resources)
        return super().can(capability)

    def refuse_writes(self) -> None:
        """Nor is any request sent but such that read, whoever uses the client."""
        super().refuse_writes()
        self._may_write = False

    def ping(self) -> str:
        if not self.resources:
            raise RemoteError(f"{type(self).__name__} has no resources, and no ping() of its own")
        objectname, resource = next(iter(self.resources.items()))
        size = {resource.size: 1} if resource.size else {}
        answer = self.request("GET", resource.path, parameters={**resource.parameters, **size})
        return f"{self._base} answers ({answer.status}), and lets us read {objectname}."

    def pages(
        self,
        objectname: str,
        *,
        since: Any = None,
        fields: Collection[str] = (),
        size: int,
    ) -> Iterator[Page]:
        resource = self._resource(objectname)
        parameters = dict(resource.parameters)
        if resource.size:
            parameters[resource.size] = size
        if resource.fields and fields:
            parameters[resource.fields] = ",".join(fields)
        if resource.since and since is not None:
            parameters[resource.since] = str(since)
        limit = getattr(self.pages_by, "limit", "")
        if limit:
            parameters[limit] = size
        asked: Asked | None = self.pages_by.first(Asked(resource.path, parameters))
        seen: set[str] = set()
        while asked is not None:
            if (mark := repr((asked.path, sorted(asked.parameters.items())))) in seen:
                raise RemoteError(f"{objectname}: a page leads back to one that was read before")
            seen.add(mark)
            answer = self.request(
                "GET", asked.path, parameters=asked.parameters, error=resource.error
            )
            rows = self._rows(objectname, resource, answer)
            gone = [row for row in rows if resource.deleted and dig(row, resource.deleted)]
            cursor = dig(answer.data, resource.cursor) if resource.cursor else None
            if resource.cursor_header:
                cursor = answer.headers.get(resource.cursor_header.lower())
            yield Page(
                [row for row in rows if row not in gone] if gone else rows,
                cursor=cursor,
                deleted=[dig(row, resource.key) for row in gone],
                is_sorted=resource.is_sorted,
            )
            asked = self.pages_by.following(asked, answer, len(rows), size)

    def get(self, objectname: str, key: Any) -> Mapping[str, Any] | None:
        resource = self._resource(objectname)
        try:
            answer = self.request("GET", _row_path(resource, key), error=resource.error)
        except Gone:
            return None
        row = self._row(objectname, resource, answer)
        return None if resource.deleted and dig(row, resource.deleted) else row

    def find(self, objectname: str, values: Mapping[str, Any]) -> Mapping[str, Any] | None:
        resource = self._resource(objectname)
        if not resource.find:
            raise RemoteError(f"{objectname} has no find in its Resource")
        parameters = {resource.find.format(name): value for name, value in values.items()}
        answer = self.request(
            "GET", resource.path, parameters={**resource.parameters, **parameters}
        )
        for row in self._rows(objectname, resource, answer):
            # A system that does not know the parameter gives every row.
            if all(_is_equal(dig(row, name), value) for name, value in values.items()):
                return Row(row)
        return None

    def version(self, objectname: str, row: Mapping[str, Any]) -> str | None:
        resource = self._resource(objectname)
        if resource.version == "etag":
            return getattr(row, "etag", None)
        version = dig(row, resource.version) if resource.version else None
        return None if version is None else str(version)

    def remembers(self, objectname: str) -> float:
        resource = self._resource(objectname)
        return resource.remembers if resource.idempotency else 0

    def insert(
        self, objectname: str, values: Mapping[str, Any], *, idempotency_key: str
    ) -> Written:
        resource = self._resource(objectname)
        headers = {resource.idempotency: idempotency_key} if resource.idempotency else {}
        answer = self.request(
            "POST",
            resource.path,
            body=_wrapped(resource, values),
            headers=headers,
            may_repeat=bool(resource.idempotency),
            error=resource.error,
        )
        if answer.data is None:
            where = answer.headers.get("location", "").rstrip("/")
            if not where:
                raise Uncertain(f"{objectname}: the answer to a new row says nothing of its key")
            return Written(where.rpartition("/")[2], version=answer.headers.get("etag"))
        return self._written(objectname, resource, answer)

    def update(
        self,
        objectname: str,
        key: Any,
        changes: Mapping[str, Any],
        *,
        version: str | None = None,
    ) -> Written:
        resource = self._resource(objectname)
        answer = self.request(
            resource.update,
            _row_path(resource, key),
            body=_wrapped(resource, changes),
            headers=_if_match(version),
            may_repeat=version is None,
            error=resource.error,
        )
        if answer.data is None:
            return Written(key, version=answer.headers.get("etag"))
        written = self._written(objectname, resource, answer)
        return Written(key, written.row, written.version)

    def delete(self, objectname: str, key: Any, *, version: str | None = None) -> None:
        resource = self._resource(objectname)
        headers = _if_match(version)
        self.request("DELETE", _row_path(resource, key), headers=headers, error=resource.error)

    def close(self) -> None:
        if "client" in vars(self):
            self.client.close()

    # ------------------------------------------------------------------ answers

    def _resource(self, objectname: str) -> Resource:
        if objectname not in self.resources:
            known = ", ".join(self.resources) or "none"
            raise SpecError(
                f"{type(self).__name__} has no resource {objectname!r}. It has: {known}."
            )
        return self.resources[objectname]

    def _rows(self, objectname: str, resource: Resource, answer: Answer) -> list[Any]:
        rows = dig(answer.data, resource.rows)
        if rows is None and answer.data is None:
            return []
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            where = f"at {resource.rows!r}" if resource.rows else "as a whole"
            raise RemoteError(
                f"{objectname}: the answer has no list of rows {where}. Look at rows of its"
                " Resource"
            )
        return rows

    def _row(self, objectname: str, resource: Resource, answer: Answer) -> Row:
        found = dig(answer.data, resource.row)
        if not isinstance(found, Mapping):
            where = f"at {resource.row!r}" if resource.row else "as a whole"
            raise RemoteError(
                f"{objectname}: the answer has no row {where}. Look at row of its Resource"
            )
        row = Row(found)
        row.etag = answer.headers.get("etag")
        return row

    def _written(self, objectname: str, resource: Resource, answer: Answer) -> Written:
        row = self._row(objectname, resource, answer)
        key = dig(row, resource.key)
        if key is None:
            raise Uncertain(f"{objectname}: the answer to a new row has no {resource.key!r}")
        return Written(key, row, self.version(objectname, row))

    # ------------------------------------------------------------------ one call

    def _address(self, path: str) -> str:
        """The address of a path of the API. Raises :exc:`RemoteError` for one on another host."""
        url = urljoin(self._base, path if "://" in path else path.lstrip("/"))
        there, ours = urlsplit(url), urlsplit(self._base)
        if path.startswith("/") and ours.path.rstrip("/") and path.startswith(ours.path):
            url = urljoin(self._base, path)  # a whole path, as links in answers have it
            there = urlsplit(url)
        if (there.scheme, there.netloc) != (ours.scheme, ours.netloc):
            raise RemoteError(
                f"{ours.netloc} leads to another host, {there.netloc or 'none'}, which is not"
                " asked: the account's credentials are for this one alone"
            )
        return url

    def _look_at(self, request: Any) -> None:
        if not self._may_write and request.method not in _READING:
            raise Refused(
                f"{request.method} was to be sent in a rehearsal, which sends nothing. Repeat the"
                " command with --commit to send it"
            )

    def _send(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, Any] | None,
        content: bytes | None,
        headers: Mapping[str, str],
        error: str,
    ) -> Answer:
        for _ in range(_REDIRECTS):
            status, found, text = self._exchange(method, url, parameters, content, headers)
            if status not in (301, 302, 303, 307, 308):
                return self._judged(method, status, found, text, error)
            if method not in _READING:
                raise RemoteError(f"the answer to {method} was a redirect, which is not followed")
            url, parameters = self._address(urljoin(url, found.get("location", ""))), None
        raise RemoteError("one redirect led to another, again and again")

    def _exchange(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, Any] | None,
        content: bytes | None,
        headers: Mapping[str, str],
        *,
        is_second: bool = False,
    ) -> tuple[int, Mapping[str, str], str]:
        kind = {"Content-Type": "application/json"} if content is not None else {}
        own = {"Accept": "application/json", **kind, **self.headers, **headers}
        answer = self._raw(
            method,
            url,
            params=parameters or None,
            content=content,
            headers={**own, **self._auth.headers(self._send_form)},
        )
        if answer[0] == 401 and not is_second and self._auth.renew():
            return self._exchange(method, url, parameters, content, headers, is_second=True)
        return answer

    def _raw(self, method: str, url: str, **request: Any) -> tuple[int, Mapping[str, str], str]:
        """Status, headers and text. Raises what a connector raises where none of these came."""
        httpx = optional("httpx", "HttpConnector")
        most = self.config.get("OPTIONS", {}).get("max_bytes", MAX_BYTES)
        try:
            with self.client.stream(method, url, **request) as answer:
                body = bytearray()
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > most:
                        raise RemoteError(
                            f"an answer has more than {most:,} bytes. If it may, raise max_bytes"
                            " in OPTIONS"
                        )
                text = bytes(body).decode(answer.encoding or "utf-8", "replace")
                found = {name.lower(): value for name, value in answer.headers.items()}
                return answer.status_code, found, text
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Transient(f"{urlsplit(url).netloc} cannot be reached: {words(error)}") from (
                printable_cause(error)
            )
        except (httpx.TransportError, httpx.DecodingError) as error:
            said = f"{urlsplit(url).netloc} gave no whole answer: {words(error)}"
            wrong = Transient if method in _READING else Uncertain
            raise wrong(said) from printable_cause(error)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise RemoteError(f"an address cannot be used: {words(error)}") from error

    def _send_form(self, url: str, form: Mapping[str, str]) -> Any:
        """What the server of tokens answers, which is the one the account names."""
        status, headers, text = self._raw(
            "POST", url, data=dict(form), headers={"Accept": "application/json"}
        )
        if 400 <= status < 500:
            raise AuthFailed(f"{urlsplit(url).netloc} gives no token: {_excerpt(text)}")
        return self._judged("GET", status, headers, text, "").data

    def _judged(
        self, method: str, status: int, headers: Mapping[str, str], text: str, error: str
    ) -> Answer:
        """The answer. Raises what its status, or an ``error`` in it, means."""
        if status < 400:
            data = _read(text, headers) if text.strip() else None
            if error and (said := dig(data, error)) not in (None, False, "", [], {}):
                raise Refused(f"the answer says: {_excerpt(str(said))}")
            return Answer(status, headers, data)
        said = f"{status}: {_excerpt(text)}" if text.strip() else str(status)
        if status == 401 or (status == 403 and method in _READING):
            raise AuthFailed(f"the account is not let in: {said}")
        if status in (404, 410):
            raise Gone(f"there is no such row: {said}")
        if status == 409 and headers.get("retry-after"):
            raise Transient(said, retry_after=_seconds(headers["retry-after"]))
        if status in (409, 412, 428):
            raise Conflict(said)
        if status in (408, 425, 429) or status >= 500:
            after = headers.get("retry-after")
            raise Transient(said, retry_after=_seconds(after) if after else None)
        raise Refused(said)


def _timeout(config: Mapping[str, Any]) -> tuple[float, float]:
    given = config.get("TIMEOUT", TIMEOUT)
    pair = given if isinstance(given, (tuple, list)) else (given, given)
    if len(pair) != 2 or not all(isinstance(each, (int, float)) and each > 0 for each in pair):
        raise SpecError(
            f"TIMEOUT has to be the seconds to connect and to answer, such as (5, 30): {given!r}."
        )
    return float(pair[0]), float(pair[1])


def _row_path(resource: Resource, key: Any) -> str:
    """Where a row is; whatever its key is made of, it is one step of the path."""
    step = quote(str(key), safe="")
    if set(step) == {"."}:  # a step up, for many a server
        step = step.replace(".", "%2E")
    return f"{resource.path.rstrip('/')}/{step}"


def _wrapped(resource: Resource, values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {resource.wrap: values} if resource.wrap else values


def _if_match(version: str | None) -> dict[str, str]:
    return {} if version is None else {"If-Match": version}


def _is_equal(theirs: Any, ours: Any) -> bool:
    return theirs == ours or str(theirs) == str(ours)


def _seconds(after: str) -> float:
    """Of a header Retry-After: seconds, or a moment by the clock; none of the past."""
    try:
        seconds = float(after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(after).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def _json(body: Any) -> bytes:
    return json.dumps(body, cls=_Encoder, allow_nan=False).encode()


class _Encoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        if isinstance(o, Decimal):
            number = int(o) if o == o.to_integral_value() else float(o)
            if Decimal(repr(number)) != o:
                raise Refused(
                    f"the number {o} has more digits than JSON keeps. Send it as text:"
                    " From(..., push=str)"
                )
            return number
        return super().default(o)


def _read(text: str, headers: Mapping[str, str]) -> Any:
    """The JSON of an answer. Raises :exc:`RemoteError` for what is none, or says a thing twice."""
    try:
        return json.loads(
            text, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_once
        )
    except ValueError as error:
        kind = headers.get("content-type", "nothing").partition(";")[0]
        raise RemoteError(
            f"the answer is no JSON but {kind} ({words(error)}): {_excerpt(text)}"
        ) from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice} comes twice")
    return found


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
