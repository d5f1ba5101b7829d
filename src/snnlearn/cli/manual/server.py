"""The server of the page: this machine only, this page only, numbers only.

It listens on the loopback interface. Each address holds a random token, without which there is nothing. What a page of
another origin, or another name for this machine, asks is refused, so that no site in the same browser can reach it.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from snnlearn._errors import SnnlearnError
from snnlearn.cli.manual.desk import Desk

_LOOPBACK = "127.0.0.1"
_MOST_BYTES = 1 << 16
_SECONDS = 30.0
"""How long a connection may be silent."""
_MOST_CONNECTIONS = 32
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
}
_FILES = {
    "": ("snnlearn.cli.manual", "page.html", "text/html; charset=utf-8"),
    "page.js": ("snnlearn.cli.manual", "page.js", "text/javascript; charset=utf-8"),
    "page.css": ("snnlearn.cli.manual", "page.css", "text/css; charset=utf-8"),
    "style.css": ("snnlearn.report", "style.css", "text/css; charset=utf-8"),
}


class Refused(Exception):
    """A request that is not answered: the status and a sentence."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class PageServer(ThreadingHTTPServer):
    """Serves one desk.

    Args:
        desk: what the page shows.
        port: the port; 0 takes a free one.

    Raises:
        SnnlearnError: if the port is taken, or may not be used.
    """

    daemon_threads = True

    def __init__(self, desk: Desk, port: int = 0):
        self.desk, self.token = desk, secrets.token_urlsafe(24)
        self._places = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        try:
            super().__init__((_LOOPBACK, port), _Handler)
        except OSError as error:
            why = {errno.EADDRINUSE: "is taken by another program", errno.EACCES: "is for the system's own programs"}
            raise SnnlearnError(
                f"--port {port} {why.get(error.errno or 0, f'cannot be used ({error.strerror})')}; give another, or "
                "leave it out for a free one"
            ) from error

    def server_bind(self) -> None:
        """As the base's, but without asking for the machine's name, which may ask the network."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://{_LOOPBACK}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names under which a browser on this machine may ask."""
        return f"{_LOOPBACK}:{self.server_port}", f"localhost:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """As the base's, for a limited number of connections at once."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """As the base's."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: PageServer  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "snnlearn", ""
    timeout = _SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, answer: Callable[[str], tuple[str, bytes]]) -> None:
        try:
            kind, content = answer(self._asked())
            status = 200
        except Refused as refused:
            status, kind, content = refused.status, "application/json", _sentence(refused.sentence)
            self.close_connection = True  # what else it has sent is not read
        except SnnlearnError as error:
            status, kind, content = 422, "application/json", _sentence(str(error))
        self._send(status, kind, content)

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(content))} | _HEADERS
        if self.close_connection:
            headers["Connection"] = "close"
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _asked(self) -> str:
        """What is asked for, below the token, once it is known who asks."""
        hosts, origins = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            raise Refused(421, "this is not the address of the page; use the one that was printed")
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            raise Refused(403, "another page may not ask this one")
        if self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise Refused(403, "another page may not ask this one")
        _, token, *rest = (*self.path.split("/", 2), "")[:3]
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            raise Refused(403, "this address has no valid token; use the one that was printed")
        return rest[0] if rest else ""

    def _get(self, asked: str) -> tuple[str, bytes]:
        if asked == "state":
            return "application/json", json.dumps(self.server.desk.page()).encode()
        if asked not in _FILES:
            raise Refused(404, "there is nothing here")
        package, name, kind = _FILES[asked]
        return kind, files(package).joinpath(name).read_bytes()

    def _post(self, asked: str) -> tuple[str, bytes]:
        desk = self.server.desk
        answers = {
            "look": lambda given: desk.look(given["numbers"], given.get("sample", 0)),
            "network": lambda given: desk.save_network(given["numbers"]),
            "configuration": lambda given: desk.save_configuration(given["numbers"]),
            "preset": lambda given: desk.keep(given["numbers"]),
        }
        if asked not in answers:
            raise Refused(404, "there is nothing here")
        return "application/json", json.dumps(answers[asked](self._given()), allow_nan=False).encode()

    def _given(self) -> dict[str, Any]:
        """The body: `{"numbers": {name: number, …}, "sample": number}`."""
        if self.headers.get_content_type() != "application/json" or self.headers.get("Transfer-Encoding"):
            raise Refused(415, "the body is no JSON; send application/json, with its length")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise Refused(411, "the body has no length; send Content-Length")
        if len(length) > 9 or int(length) > _MOST_BYTES:
            raise Refused(413, f"the body is larger than {_MOST_BYTES} bytes")
        try:
            body = self.rfile.read(int(length))
        except TimeoutError as error:
            raise Refused(408, "the body did not come") from error
        try:
            given = json.loads(body.decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise Refused(400, "the body is no JSON of numbers") from error
        if not isinstance(given, dict) or not {"numbers"} <= set(given) <= {"numbers", "sample"}:
            raise Refused(400, "the body is no object of numbers and sample")
        if not isinstance(given["numbers"], dict):
            raise Refused(400, "numbers is no object")
        return given

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base refuses, such as another method, without repeating what was asked."""
        self.close_connection = True
        known = {501: (405, "only GET and POST are answered")}
        status, sentence = known.get(code, (code, "this request cannot be read"))
        self._send(status, "application/json", _sentence(sentence))

    def log_message(self, format: str, *args: Any) -> None:
        """The terminal stays quiet."""


def _sentence(text: str) -> bytes:
    return json.dumps({"error": text}).encode()


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name twice")
    return dict(pairs)


@contextlib.contextmanager
def serving(server: PageServer) -> Iterator[str]:
    """Serve within the block; the value is the address."""
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server.address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
