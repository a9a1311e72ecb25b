"""Who may ask: every request passes here first. Hosts and origins of others are refused, and whoever has no token.

A page of another site can make a browser send requests here, and by a name that it lets point to this machine (DNS
rebinding) even read the answers; so the host is checked, the origin of whatever changes something, and the token, which
no other page can know.
"""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'none'; "
                               "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}  # fmt: skip
"""of every answer"""
LOCAL = ("127.0.0.1", "localhost", "[::1]")
_GUESS_SECONDS = 1.0
"""that a wrong password costs; guesses wait for one another"""

Scope = MutableMapping[str, Any]


@dataclass
class Access:
    """What opens the studio."""

    port: int
    host: str = "127.0.0.1"
    """that it listens at"""
    password: str = ""
    """for who comes over a network; empty: nobody does"""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def cookie(self) -> str:
        """Name of the cookie: those of one machine are shared by all of its ports."""
        return f"jnst-{self.port}"

    def allows_host(self, host: str) -> bool:
        """Returns whether a request may be for this host.

        Args:
            host: of the request's header, with the port.
        """
        host = host.lower()
        name = host.removesuffix(f":{self.port}")
        if name == host and self.port != 80:  # which browsers leave out
            return False
        if name in LOCAL:
            return True
        return bool(self.password) and (_is_address(name) or name in _names_here(self.host))

    def knows(self, token: str) -> bool:
        """Returns whether it is the token, in a time that does not tell how much of it is right.

        Args:
            token: given.
        """
        return hmac.compare_digest(token.encode(), self.token.encode())

    def knows_password(self, header: str) -> bool:
        """Returns whether an Authorization header holds the password; the user's name does not count.

        Args:
            header: of the request.
        """
        scheme, _, text = header.partition(" ")
        try:
            given = base64.b64decode(text, validate=True).partition(b":")[2]
        except ValueError:
            return False
        digests = (hashlib.sha256(word).digest() for word in (given, self.password.encode()))
        return bool(self.password) and scheme.lower() == "basic" and hmac.compare_digest(*digests)


def _is_address(name: str) -> bool:
    """Whether a host is a number: no name that somebody else may let point here."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _names_here(host: str) -> Iterable[str]:
    name = socket.gethostname().lower()
    return (host.lower(), name, f"{name}.local")


class Guard:
    """An ASGI application around another, which gets only what may pass."""

    def __init__(self, app: Any, access: Access, responses: Any) -> None:
        """Wraps an application.

        Args:
            app: to be guarded.
            access: what opens it.
            responses: `starlette.responses`.
        """
        self.app, self.access, self.responses = app, access, responses
        self._guessing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answers one request, or passes it on.

        Args:
            scope: of ASGI, as are the others.
            receive: its body.
            send: its answer.
        """
        if scope["type"] == "http":
            headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
            answer = await self._judge(scope, headers)
            await (self.app if answer is None else answer)(scope, receive, _with_headers(send))

    async def _judge(self, scope: Scope, headers: dict[str, str]) -> Any:
        """The answer to who may not pass; None for who may."""
        access, host = self.access, headers.get("host", "")
        if not access.allows_host(host):
            return self._refuse(421, "this host is not the studio's; open the address that jnst studio printed")
        if scope["method"] not in ("GET", "HEAD"):
            same = headers.get("sec-fetch-site") == "same-origin" and "origin" not in headers
            if not same and headers.get("origin") not in (f"http://{host}", f"https://{host}"):
                return self._refuse(403, "the request comes from another page; use the studio's own")
            if "x-jnst" not in headers:
                return self._refuse(403, "the request lacks the header X-Jnst; use the studio's own page")
        if scope["path"] == "/":
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if given:
                return self._let_in() if access.knows(given) else self._refuse(401, _CLOSED)
        elif headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return self._refuse(403, "the request comes from another page; use the studio's own")
        if access.knows(headers.get("x-jnst-token", "")) or access.knows(_cookie(headers, access.cookie)):
            return None
        if access.password and scope["path"] == "/":
            return await self._ask_password(headers.get("authorization", ""))
        return self._refuse(401, _CLOSED)

    async def _ask_password(self, header: str) -> Any:
        if header:
            async with self._guessing:
                if self.access.knows_password(header):
                    return self._let_in()
                await asyncio.sleep(_GUESS_SECONDS)
        answer = self._refuse(401, "a password is needed; it is in the file of --password-file")
        answer.headers["www-authenticate"] = 'Basic realm="jnst studio", charset="UTF-8"'
        return answer

    def _let_in(self) -> Any:
        answer = self.responses.RedirectResponse("/", 303)
        answer.set_cookie(self.access.cookie, self.access.token, httponly=True, samesite="strict", path="/")
        return answer

    def _refuse(self, code: int, text: str) -> Any:
        return self.responses.JSONResponse({"error": text}, code)


_CLOSED = "the token is missing or wrong; open the address that jnst studio printed"


def _cookie(headers: dict[str, str], name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def _with_headers(send: Any) -> Any:
    """Puts the headers of all answers into one."""

    async def sends(message: Scope) -> None:
        if message["type"] == "http.response.start":
            there = {name for name, _ in message["headers"]}
            more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            if b"cache-control" not in there:
                more.append((b"cache-control", b"no-store"))
            message["headers"] = [*message["headers"], *more]
        await send(message)

    return sends
