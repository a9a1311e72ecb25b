"""The way to a server that can be slow, refuse, or break off."""

import http.client
import http.server
import time
from collections import Counter
from collections.abc import Callable
from typing import Any


class Door(http.server.ThreadingHTTPServer):
    """Hands requests on to a server; `fault(method, path, times asked)` says what happens instead."""

    daemon_threads = True

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind, self.asked = behind, Counter[tuple[str, str]]()
        self.fault: Callable[[str, str, int], str | None] = lambda *_: None

    def handle_error(self, request, client_address):
        """A client that goes away is what is tried here."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any  # a Door

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.server.asked[self.command, path] += 1
        fault = self.server.fault(self.command, path, self.server.asked[self.command, path])
        if fault == "refuses":
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault == "slow":
            time.sleep(0.05)
        link = http.client.HTTPConnection(*self.server.behind, timeout=30)
        link.request(self.command, self.path, body, dict(self.headers))
        answer = link.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(content)))
        self.end_headers()
        self.close_connection = fault == "breaks off"
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if self.close_connection else content)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer  # noqa: N815

    def log_message(self, format, *args):
        pass
