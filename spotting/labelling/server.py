"""The local server behind the page of `spot label`.

It listens on the loopback interface only and answers nobody who does not name it by that address (a `Host` of
elsewhere is DNS rebinding) and does not know the random token that is the first part of every path. It hands out the
page, the named recordings by their number, and nothing else: no path of a request ever becomes the path of a file.
"""

import contextlib
import hmac
import json
import secrets
import socket
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...errors import FacespotError
from ...files import temporary_files, temporary_folder
from .desk import Desk
from .events import ActError
from .playable import write_playable

LOOPBACK = "127.0.0.1"
_PAGE = {
    "": ("page.html", "text/html"),
    **{name: (name, "text/javascript") for name in ("player.js", "saving.js", "drawing.js", "page.js")},
    "page.css": ("page.css", "text/css"),
}
_MAX_BODY = 16_384  # bytes; an act is a few hundred
_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; form-action 'none'; "
    "base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Lets through what names one of `hosts` (`address:port`), comes from no other site, and knows the token."""

    def __init__(self, app: ASGIApp, token: str, hosts: frozenset[str]) -> None:
        self.app = app
        self.token = token
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        app = self.app if self._trusts(scope) else PlainTextResponse("not for you", 403)
        await app(scope, receive, guarded)

    def _trusts(self, scope: Scope) -> bool:
        said: dict[str, list[str]] = {"host": [], "origin": []}
        for name, value in scope["headers"]:
            if name.decode("latin-1") in said:
                said[name.decode("latin-1")].append(value.decode("latin-1"))
        if len(said["host"]) != 1 or said["host"][0] not in self.hosts:
            return False
        if any(origin not in {f"http://{host}" for host in self.hosts} for origin in said["origin"]):
            return False
        token = scope["path"].removeprefix("/").partition("/")[0]
        return hmac.compare_digest(token.encode(), self.token.encode())


class Pages:
    """The answers. fps: of folders of images. copies: where copies for the browser are kept while the server runs."""

    def __init__(self, desk: Desk, copies: Path, fps: float | None, stop: Callable[[], None]) -> None:
        self.desk = desk
        self._copies = copies
        self._fps = fps
        self._stop = stop
        self._copying = anyio.Lock()

    def routes(self, token: str) -> list[Route]:
        at = f"/{token}"
        return [
            *(Route(f"{at}/{name}", self._page(*page)) for name, page in _PAGE.items()),
            Route(f"{at}/session", self.session),
            Route(f"{at}/videos/{{number:int}}", self.video),
            Route(f"{at}/videos/{{number:int}}/times", self.times),
            Route(f"{at}/videos/{{number:int}}/media", self.media),
            Route(f"{at}/videos/{{number:int}}/copy", self.copy),
            Route(f"{at}/videos/{{number:int}}/acts", self.act, methods=["POST"]),
            Route(f"{at}/audit", self.audit, methods=["POST"]),
            Route(f"{at}/quit", self.quit, methods=["POST"]),
        ]

    async def session(self, request: Request) -> Response:
        return JSONResponse(self.desk.session())

    async def video(self, request: Request) -> Response:
        return self._of(request, lambda number: JSONResponse(self.desk.state(number)))

    async def times(self, request: Request) -> Response:
        return self._of(request, lambda number: JSONResponse(self.desk.times(number)))

    async def media(self, request: Request) -> Response:
        return self._of(request, lambda number: self._file(self.desk.recordings[number].path))

    async def copy(self, request: Request) -> Response:
        """Of a recording that the browser cannot play; made when it is first asked for."""
        number = request.path_params["number"]
        if number >= len(self.desk.recordings):
            return _refused("no such video", 404)
        target = self._copies / f"{number}.mp4"
        async with self._copying:
            if not target.exists():
                half = target.with_suffix(".half.mp4")
                try:
                    with temporary_files():
                        await anyio.to_thread.run_sync(
                            write_playable, self.desk.recordings[number].path, half, self._fps
                        )
                    half.rename(target)
                except (FacespotError, OSError) as error:
                    half.unlink(missing_ok=True)  # of a full disk it may have taken the rest
                    return _refused(str(error), 500)
        return self._file(target)

    async def act(self, request: Request) -> Response:
        """Answered when the act is on the disk: 409 with the reason for one that cannot be done."""
        act = await _object(request)
        if act is None:
            return _refused("an act is a small JSON object", 400)
        return self._of(request, lambda number: JSONResponse(self.desk.act(number, act)))

    async def audit(self, request: Request) -> Response:
        try:
            result, text = self.desk.audit()
        except ActError as error:
            return _refused(str(error), 409)
        scores = {k: {name: _finite(vars(e)) for name, e in row.items()} for k, row in result.scores.items()}
        return JSONResponse({"text": text, "scores": scores})

    async def quit(self, request: Request) -> Response:
        self._stop()
        return JSONResponse({})

    def _of(self, request: Request, answer: Callable[[int], Response]) -> Response:
        number = request.path_params["number"]
        if number >= len(self.desk.recordings):
            return _refused("no such video", 404)
        try:
            return answer(number)
        except ActError as error:
            return _refused(str(error), 409)
        except OSError as error:
            return _refused(f"not saved: {error}", 507)

    def _file(self, path: Path) -> Response:
        """With range requests, which players seek by."""
        return FileResponse(path) if path.is_file() else _refused("cannot be played as it is", 415)

    def _page(self, name: str, kind: str) -> Callable[[Request], Any]:
        text = files(__package__).joinpath(name).read_text(encoding="utf-8")

        async def page(request: Request) -> Response:
            return Response(text, media_type=kind)

        return page


def serve(
    desk: Desk,
    *,
    port: int = 0,
    fps: float | None = None,
    opened: Callable[[str], None],
) -> None:
    """Runs until the page, or Ctrl-C, ends it. port: 0 for a free one. opened: told the address when it can be used.

    Raises FacespotError if the port is taken.
    """
    token = secrets.token_urlsafe(24)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener, temporary_folder() as copies:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((LOOPBACK, port))
            listener.listen()
        except OSError as error:
            raise FacespotError(f"port {port} cannot be used ({error.strerror}); leave --port out") from error
        port = listener.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(
                app=make_app(desk, token, port, copies, fps, lambda: setattr(server, "should_exit", True)),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=1,  # s; a player may hold its connection open for ever
            )
        )
        opened(f"http://{LOOPBACK}:{port}/{token}/")
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn hands on the signal that it stopped for
            server.run(sockets=[listener])


def make_app(desk: Desk, token: str, port: int, copies: Path, fps: float | None, stop: Callable[[], None]) -> ASGIApp:
    """The guarded application."""
    app = Starlette(routes=Pages(desk, copies, fps, stop).routes(token))
    app.router.redirect_slashes = False
    return Guard(app, token, frozenset(f"{name}:{port}" for name in (LOOPBACK, "localhost")))


async def _object(request: Request) -> dict[str, Any] | None:
    """The JSON object in a request, None if there is none, it is too large or comes as a form could send it."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return None
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > _MAX_BODY:
                return None
        value = json.loads(body)
    except (ClientDisconnect, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refused(why: str, status: int) -> Response:
    return JSONResponse({"error": why}, status)


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    """JSON has no NaN."""
    return {name: None if value != value else value for name, value in values.items()}
