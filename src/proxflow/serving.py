"""A run's page over HTTP, on this machine only: the page as it is now, and news for a page that is open.

    GET /          the page, made from the folder         GET /news?mark=M   what changed since M, as JSON

Nothing else is served, least of all files by name. It listens on 127.0.0.1 and answers only requests that say so in
their Host header, so that a web page elsewhere cannot reach it under a name of its own (DNS rebinding). Bad at: many
readers at once, for every answer is made from the files anew.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from proxflow.atomic import reason
from proxflow.browser import Moving, payload
from proxflow.report import report_text
from proxflow.run_pages import exhibits_of, page_text, standing
from proxflow.store import to_json

__all__ = ["Pages", "Server", "Waiting", "server_of"]

_SECONDS = 2.0  # between two questions of a page
_SILENCE = 60.0  # seconds without news after which a page says so
_HOST = "127.0.0.1"


class Waiting(Exception):
    """There is no run in the folder yet; the message says so."""


class Pages:
    """What is said of a folder, whatever its state."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)

    def standing(self) -> str:
        """How the run stands, in words; `Waiting` if it has not begun, ValueError for what is no run's folder."""
        self._wait()
        found = standing(self._folder)
        silent = time.time() - found.written
        if found.ended or silent < _SILENCE:
            return found.said
        minutes = math.floor(silent / 60)
        return (
            f"{found.said} Nothing new for {minutes} minute{'s' * (minutes != 1)}: if it was killed, proxflow resume"
            f" {self._folder} goes on."
        )

    def mark(self) -> str:
        """What differs once anything has changed; before the colon, once the page as a whole has."""
        try:
            self._wait()
            found = standing(self._folder)
        except Waiting:
            return "waiting:"
        except ValueError:
            return "no run:"
        return f"ended {found.written}:" if found.ended else f"under way:{found.written}"

    def page(self) -> str:
        """The page; one that says what is wrong where there is no run, or a damaged one."""
        live = {"mark": self.mark(), "seconds": _SECONDS}
        try:
            self._wait()
            return page_text(self._folder, live)
        except (Waiting, ValueError) as problem:
            return report_text(title=str(self._folder), summary=[str(problem)], moving=Moving((), live))

    def news(self, mark: str) -> dict[str, Any]:
        """What changed since the mark: all that moves, or that the whole page is to be read again."""
        now = self.mark()
        try:
            found: dict[str, Any] = {"mark": now, "said": None if now.startswith("ended") else self.standing()}
            if now.split(":")[0] != mark.split(":")[0]:
                return found | {"whole": True}
            return found if now == mark else found | payload(Moving(exhibits_of(self._folder)))
        except (Waiting, ValueError) as problem:
            return {"mark": mark, "said": str(problem)}

    def _wait(self) -> None:
        if not self._folder.exists() or (self._folder.is_dir() and not any(self._folder.iterdir())):
            raise Waiting(f"{self._folder} holds no run yet: waiting for it.")


class Server(ThreadingHTTPServer):
    """The server of one folder's page."""

    daemon_threads = True

    def __init__(self, pages: Pages, port: int) -> None:
        self.pages = pages
        super().__init__((_HOST, port), _Handler)
        self.hosts = {f"{name}:{self.server_port}" for name in (_HOST, "localhost")}
        if self.server_port == 80:  # which browsers leave out
            self.hosts |= {_HOST, "localhost"}

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{_HOST}:{self.server_port}/"


def server_of(folder: str | os.PathLike[str], port: int = 0) -> Server:
    """Return a server of the folder's page, bound to the port (0: any), to be run by `serve_forever`.

    Raises
    ------
    ValueError
        The folder holds something else than a run, or the port cannot be had.
    """
    pages = Pages(folder)
    with contextlib.suppress(Waiting):
        pages.standing()
    try:
        return Server(pages, port)
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise ValueError(f"port {port} is in use: choose another --port, or 0 for any that is free.") from None
        raise ValueError(f"cannot serve at port {port}: {reason(problem)}.") from None


class _Handler(BaseHTTPRequestHandler):
    timeout = 10
    server_version = "proxflow"
    sys_version = ""

    def do_GET(self) -> None:
        server = cast(Server, self.server)
        if self.headers.get("Host", "") not in server.hosts:
            self._answer(403, "text/plain", f"only for {server.address}\n")
            return
        asked = urlsplit(self.path)
        if asked.path == "/":
            self._answer(200, "text/html", server.pages.page())
        elif asked.path == "/news":
            mark = parse_qs(asked.query).get("mark", [""])[0]
            self._answer(200, "application/json", to_json(server.pages.news(mark)))
        else:
            self._answer(404, "text/plain", "nothing here\n")

    def _answer(self, code: int, kind: str, text: str) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(code)
        for name, value in {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):  # the reader left
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing: the terminal is the user's."""
