# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo web`: the page beside the running node, at http://127.0.0.1:8150 by default."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import threading
from pathlib import Path

import rclpy
from aiohttp import web
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from vlo_ros.config import BUNDLED
from vlo_ros.errors import VloError
from vlo_ros.ros.person.outbox import PATIENCE_S
from vlo_ros.ros.person.web.bridge import Bridge, Event
from vlo_ros.ros.person.web.server import Server


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        VloError: The address cannot be bound, or is too public; one line.
    """
    loop = asyncio.get_running_loop()
    server: Server | None = None

    def on_event(event: Event) -> None:
        if server is not None and not loop.is_closed():
            loop.call_soon_threadsafe(server.publish, event)

    bridge = Bridge(options.node, options.camera, options.image, on_event, options.patience)
    runner: web.AppRunner | None = None
    executor = SingleThreadedExecutor()
    executor.add_node(bridge)
    thread = threading.Thread(target=_spin, args=(executor,), name='graph')
    try:
        server = Server(bridge, options.host, _password(options), options.model, options.name)
        runner = web.AppRunner(server.app, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, options.host, options.port)
            await site.start()
        except OSError as error:
            raise VloError(
                f'--host {options.host} --port {options.port}: {error.strerror}'
            ) from error
        thread.start()
        port = runner.addresses[0][1]
        sys.stderr.write(f'vlo web: http://{options.host}:{port}  (Ctrl-C ends)\n')
        sys.stderr.flush()
        await _interrupted(loop)
    finally:
        executor.shutdown()
        if thread.is_alive():
            thread.join()
        if runner is not None:
            await runner.cleanup()
        bridge.destroy_node()


def _spin(executor: SingleThreadedExecutor) -> None:
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


async def _interrupted(loop: asyncio.AbstractEventLoop) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()


def _password(options: argparse.Namespace) -> str:
    """A password on the command line could be read by everybody in the list of processes."""
    if options.password_file is None:
        return ''
    try:
        password = options.password_file.read_text(encoding='utf-8').strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise VloError(f'--password-file {options.password_file}: {reason}') from error
    if not password:
        raise VloError(f'--password-file {options.password_file}: is empty')
    return password


def main(arguments: list[str] | None = None) -> int:
    """Serve the page."""
    parser = argparse.ArgumentParser(prog='vlo web', description=__doc__.splitlines()[0])
    parser.add_argument('--node', default='/vlo', help='full name of the node')
    parser.add_argument('--camera', default='', help='its camera, where it has several')
    parser.add_argument('--image', default='', help='camera topic; found out by itself')
    parser.add_argument('--host', default='127.0.0.1', help='address; others need a password')
    parser.add_argument('--port', type=int, default=8150, help='0 takes a free one')
    parser.add_argument(
        '--name',
        action='append',
        default=[],
        help='what else browsers may call this server, such as the name of a proxy; repeatable',
    )
    parser.add_argument(
        '--password-file', type=Path, help='file with the password; any user name goes with it'
    )
    parser.add_argument('--model', default=BUNDLED, help='model YAML that judges uploaded videos')
    parser.add_argument(
        '--patience',
        type=float,
        default=PATIENCE_S,
        help='seconds that a question waits for the node (%(default)g)',
    )
    options = parser.parse_args(arguments)
    # Signals are asyncio's here: rclpy's handler would end the graph before the page.
    rclpy.init(args=[], signal_handler_options=rclpy.SignalHandlerOptions.NO)
    try:
        asyncio.run(serve(options))
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
