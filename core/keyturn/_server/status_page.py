"""`/`, the status page, which needs no JavaScript."""

from __future__ import annotations

import base64
import collections
import hashlib
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

import attrs
import jinja2
from starlette.responses import Response

from keyturn import errors
from keyturn._server.responses import PRIVATE, body_of, problem
from keyturn._server.status_rows import PER_PAGE, STATES, chosen, limit_left, row
from keyturn._tokens.single_flight import run_in_thread

if TYPE_CHECKING:
    from starlette.requests import Request

    from keyturn._connection import Connection
    from keyturn._server.connections import ServedConnections

# Seconds after which the page refreshes itself.
_REFRESH = 15
_NOTICES = 64
_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("keyturn._server"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@attrs.frozen
class _View:
    """The view of the page, from the query.

    Args:
        q: The words to search for.
        state: The state to show, or an empty string for all.
        page: The number of the page, from 1.
        refresh: Whether the page refreshes itself.
    """

    q: str = ""
    state: str = ""
    page: int = 1
    refresh: bool = True

    @classmethod
    def read(cls, query: str) -> _View:
        given = {name: values[-1] for name, values in parse_qs(query[:2000]).items()}
        page, state = given.get("page", ""), given.get("state", "")
        return cls(
            given.get("q", ""),
            state if state in STATES else "",
            int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 6 else 1,
            given.get("refresh") != "off",
        )

    def query(self, **changed: Any) -> str:
        """Return the query of a link to another view; a form's parameters come first."""
        other = attrs.evolve(self, **changed)
        values = {"q": other.q, "state": other.state}
        values |= {"page": str(other.page)} if other.page > 1 else {}
        values |= {} if other.refresh else {"refresh": "off"}
        return urlencode({name: value for name, value in values.items() if value})


@attrs.frozen
class _Notice:
    """The result of an action."""

    message: str
    is_error: bool = False


class StatusPage:
    """Shows the connections, and runs the actions of its buttons.

    Args:
        connections: The connections.
    """

    def __init__(self, connections: ServedConnections) -> None:
        self._connections = connections
        self._notices: collections.OrderedDict[str, _Notice] = collections.OrderedDict()
        self._actions = {"renew": _renew, "forget": _forget, "revoke": _revoke}
        style = _templates.get_template("status.css").render()
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._template = _templates.get_template("status.html")
        self._style = style
        self._headers = {
            **PRIVATE,
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": f"default-src 'none'; style-src 'sha256-{digest}'; "
            "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            # A form's request must have its Origin; the address of the page contains the secret.
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
        }

    async def show(self, request: Request) -> Response:
        """Return the page."""
        view = _View.read(request.url.query)
        every = [row(served) for served in self._connections]
        found = chosen(every, view.q, view.state)
        pages = max(1, -(-len(found) // PER_PAGE))
        view = attrs.evolve(view, page=min(view.page, pages))
        shown = found[(view.page - 1) * PER_PAGE : view.page * PER_PAGE]
        limits = await run_in_thread(
            lambda: [limit_left(self._connections.find(each.name)) for each in shown]
        )
        content = self._template.render(
            style=self._style,
            view=view,
            rows=[attrs.evolve(each, limit=left) for each, left in zip(shown, limits, strict=True)],
            found=len(found),
            pages=pages,
            counts={state: sum(each.state == state for each in every) for state in STATES},
            total=len(every),
            notice=self._notices.get(request.query_params.get("notice", "")),
            refresh=_REFRESH,
        )
        headers = self._headers
        if view.refresh:
            query = view.query()
            # A header: the page's own refresh would need a script, or annoy a screen reader.
            headers = {**headers, "refresh": f"{_REFRESH}; url=./{f'?{query}' if query else ''}"}
        return Response(content, headers=headers)

    async def act(self, request: Request) -> Response:
        """Run a button's action, and show its result on the page."""
        form = parse_qs((await body_of(request)).decode("latin-1"))
        action, name, back = (form.get(each, [""])[-1] for each in ("action", "name", "back"))
        if action not in self._actions:
            return problem(400, f"action must be one of {', '.join(self._actions)}.")
        try:
            _, connection, _ = await self._connections.open(name)
            notice = _Notice(f"{name}: {await self._actions[action](connection)}")
        except errors.KeyturnError as error:
            notice = _Notice(
                f"{name}: {action} failed: {type(error).__name__}: {error}", is_error=True
            )
        number = secrets.token_hex(8)
        self._notices[number] = notice
        if len(self._notices) > _NOTICES:
            self._notices.popitem(last=False)
        query = "&".join(filter(None, (_View.read(back).query(), f"notice={number}")))
        return Response(status_code=303, headers={**PRIVATE, "location": f"../?{query}"})


async def _renew(connection: Connection) -> str:
    token = await connection.atoken()
    other = await connection.atoken(stale=token)
    if other.access_token == token.access_token:
        return "the server returned the same token again."
    return "renewed the token."


async def _forget(connection: Connection) -> str:
    await connection.aforget()
    return "discarded the cached token."


async def _revoke(connection: Connection) -> str:
    await connection.arevoke()
    return "revoked the token."
