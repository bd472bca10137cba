# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page's server. What it serves: three files by name, one socket, one picture, one upload.

Who may see it: this machine, unless a password is set. A browser that was led here by another site
is refused (Origin and Host are compared), so that no web page can talk to the robot.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import ipaddress
import json
import secrets
import socket
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from vlo_ros.errors import VloError, one_line
from vlo_ros.ros.person.web.bridge import Bridge, Event
from vlo_ros.ros.person.web.upload import MAX_BYTES, SUFFIXES, VideoReplay

PAGE = Path(__file__).parent / 'page'
FILES = {'/': 'index.html', '/page.css': 'page.css', '/page.js': 'page.js'}
TYPES = {'.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript'}
COOKIE = 'vlo_web'
LOCAL = ('127.0.0.1', 'localhost', '::1')
MAX_PICTURES_PER_S = 10.0
MAX_WAITING = 1000  # events for one browser
MAX_MESSAGE_BYTES = 16_384
HEADERS = {
    # Nothing from elsewhere is ever loaded, and nobody puts the page into a frame.
    'Content-Security-Policy': (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """The page of one bridge."""

    def __init__(
        self, bridge: Bridge, host: str, password: str, model: str, names: Sequence[str] = ()
    ) -> None:
        """Prepare the application.

        Args:
            bridge: The graph.
            host: Address that is bound.
            password: '' lets in everybody who can connect.
            model: Model that judges uploaded videos.
            names: What else browsers may call this server, a proxy's name for instance.

        Raises:
            VloError: The address can be reached from elsewhere and there is no password.
        """
        if host not in LOCAL and not password:
            raise VloError(
                f'--host {host} can be reached from other machines: give a --password-file, or '
                'keep 127.0.0.1 and forward the port (ssh -L)'
            )
        self._bridge = bridge
        self._is_local = host in LOCAL
        self._names = {*LOCAL, *map(str.lower, names)}
        if not self._is_local:
            own = socket.gethostname().lower()
            self._names |= {host.lower(), own, f'{own}.local'}
        self._password = password
        self._model = model
        self._token = secrets.token_urlsafe(32)
        self._queues: set[asyncio.Queue[Event | None]] = set()
        self._uploading = asyncio.Lock()
        self._latest: dict[str, Event] = {}
        self._is_closing = False
        self.app = web.Application(middlewares=[self._guard], client_max_size=MAX_BYTES)
        for path in FILES:
            self.app.router.add_get(path, self._file)
        self.app.router.add_get('/socket', self._socket)
        self.app.router.add_get('/picture', self._picture)
        self.app.router.add_post('/upload', self._upload)
        self.app.on_shutdown.append(self._close)

    def publish(self, event: Event) -> None:
        """Send an event to every page; on the loop's thread."""
        if event['kind'] in ('status', 'settings', 'camera'):
            self._latest[event['kind']] = event
        for queue in list(self._queues):
            if queue.full():  # a browser that stopped reading: it may come back
                self._queues.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    # -- who may see it --------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_from_here(request):
            raise web.HTTPForbidden(
                text='this page is not for other sites; --name NAME gives it another name\n',
                headers=HEADERS,
            )
        if self._password and not self._knows_password(request):
            await asyncio.sleep(0.5)  # guessing takes its time
            raise web.HTTPUnauthorized(
                text='a password is needed\n',
                headers={**HEADERS, 'WWW-Authenticate': 'Basic realm="vlo"'},
            )
        return await handler(request)

    def _is_from_here(self, request: web.Request) -> bool:
        """Whether the browser meant this server, and not a site that points at it."""
        try:
            name = urlsplit(f'//{request.host}').hostname or ''
            origin = urlsplit(request.headers.get('Origin', f'//{request.host}')).netloc
        except ValueError:
            return False
        # A foreign name may resolve to this machine; an address stands for itself.
        is_own = name in self._names or (not self._is_local and _is_address(name))
        return is_own and '@' not in request.host and origin == request.host

    def _knows_password(self, request: web.Request) -> bool:
        cookie = request.cookies.get(COOKIE, '')
        if cookie and hmac.compare_digest(cookie.encode(), self._token.encode()):
            return True
        scheme, _, encoded = request.headers.get('Authorization', '').partition(' ')
        if scheme.lower() != 'basic':
            return False
        try:
            _, _, given = base64.b64decode(encoded, validate=True).partition(b':')
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(given, self._password.encode())

    # -- what it serves --------------------------------------------------------------------

    async def _file(self, request: web.Request) -> web.Response:
        path = PAGE / FILES[request.path]
        response = web.Response(
            text=path.read_text(encoding='utf-8'),
            content_type=TYPES[path.suffix],
            charset='utf-8',
            headers=HEADERS,
        )
        if self._password:
            # Browsers do not send a password with a socket; the cookie goes with it.
            response.set_cookie(COOKIE, self._token, httponly=True, samesite='Strict')
        return response

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        page = web.WebSocketResponse(heartbeat=20.0, max_msg_size=MAX_MESSAGE_BYTES)
        await page.prepare(request)
        queue: asyncio.Queue[Event | None] = asyncio.Queue(MAX_WAITING)
        for event in (*self._bridge.history, *self._latest.values()):
            queue.put_nowait(event)
        self._queues.add(queue)
        sender = asyncio.create_task(self._send(page, queue))
        try:
            async for message in page:
                if message.type is WSMsgType.TEXT:
                    self._obey(message.data, queue)
        finally:
            self._queues.discard(queue)
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sender
        return page

    async def _send(self, page: web.WebSocketResponse, queue: asyncio.Queue[Event | None]) -> None:
        with contextlib.suppress(ConnectionError):
            while (event := await queue.get()) is not None:
                await page.send_str(json.dumps(event))
            await page.close()

    def _obey(self, text: str, queue: asyncio.Queue[Event | None]) -> None:
        """Do what the page asks for; what is wrong with it is told to that page alone."""
        try:
            wish = json.loads(text)
            verb = wish['do']
            if verb == 'ask':
                self._bridge.ask(str(wish['text']))
            elif verb == 'forget':
                self._bridge.forget()
            elif verb == 'set':
                self._bridge.set(str(wish['name']), float(wish['value']))
            else:
                raise VloError(f'{verb!r} is not understood')
        except (VloError, ValueError, KeyError, TypeError) as error:
            if not queue.full():
                queue.put_nowait({'kind': 'note', 'text': one_line(error)})

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        """The live picture: JPEG after JPEG, drawn only while somebody looks."""
        boundary = 'vlo-picture'
        response = web.StreamResponse(
            headers={**HEADERS, 'Content-Type': f'multipart/x-mixed-replace; boundary={boundary}'}
        )
        await response.prepare(request)
        loop, shown = asyncio.get_running_loop(), -1
        with contextlib.suppress(ConnectionError):
            while not (self._is_closing or request.transport is None):  # None: they left
                await asyncio.sleep(1 / MAX_PICTURES_PER_S)
                if self._bridge.num_images == shown:
                    continue
                shown = self._bridge.num_images
                jpeg = await loop.run_in_executor(None, self._bridge.picture)
                if jpeg is None:
                    continue
                head = f'--{boundary}\r\nContent-Type: image/jpeg\r\n'
                head += f'Content-Length: {len(jpeg)}\r\n\r\n'
                await response.write(head.encode() + jpeg + b'\r\n')
        return response

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        """Judge a video; the answer is one JSON object a line, as it goes."""
        suffix = Path(request.query.get('name', '')).suffix.lower()
        if suffix not in SUFFIXES:
            accepted = ', '.join(SUFFIXES)
            raise web.HTTPBadRequest(text=f'{suffix or "this"} is no video; accepted: {accepted}')
        if self._uploading.locked():
            raise web.HTTPConflict(text='another video is being judged; try again when it is done')
        async with self._uploading:
            with tempfile.TemporaryDirectory(prefix='vlo_web_') as folder:
                video = Path(folder) / f'video{suffix}'
                size = 0
                with video.open('wb') as file:
                    async for chunk in request.content.iter_chunked(1 << 20):
                        size += len(chunk)
                        if size > MAX_BYTES:
                            raise web.HTTPRequestEntityTooLarge(MAX_BYTES, size)
                        file.write(chunk)
                return await self._judge(request, video)

    async def _judge(self, request: web.Request, video: Path) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={**HEADERS, 'Content-Type': 'application/x-ndjson; charset=utf-8'}
        )
        await response.prepare(request)
        values = (self._latest.get('settings') or {}).get('values') or {}
        with contextlib.suppress(ConnectionError):
            async with VideoReplay(video, self._model, values) as replay:
                async for event in replay.events():
                    await response.write(json.dumps(event).encode() + b'\n')
        return response

    async def _close(self, app: web.Application) -> None:
        self._is_closing = True
        for queue in list(self._queues):
            if not queue.full():
                queue.put_nowait(None)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
