# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo chat`: a transcript of a running node, to type questions into. Works over topics alone.

    vlo chat                        # the node /vlo
    vlo chat --node /robot/vlo --camera left

Typing goes on while it talks. `/reset` makes the node forget what it has seen, `/quit` ends.
"""

from __future__ import annotations

import argparse
import os
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rich.console import Console
from rich.markup import escape

from vlo_ros.ros.interrupt import until_interrupted
from vlo_ros.ros.line_input import LineInput
from vlo_ros.ros.person.outbox import PATIENCE_S
from vlo_ros.ros.person.stream_client import StreamClient, stream_prefix
from vlo_ros.ros.transcript import Transcript

REFRESH_S = 0.05
HELP = '[dim]type a question and press Enter; /reset makes it forget, /quit or Ctrl-C ends[/]'


class Chat:
    """Shows one stream of a node, and sends it what is typed."""

    def __init__(
        self, node: Node, prefix: str, transcript: Transcript, patience_s: float = PATIENCE_S
    ) -> None:
        """Join the graph.

        Args:
            node: Spun by `run`.
            prefix: Of the stream's topics.
            transcript: Shows what comes.
            patience_s: How long a question waits for the node, s.
        """
        self._node = node
        self._transcript = transcript
        self._client = StreamClient(
            node,
            prefix,
            on_decision=transcript.on_decision,
            on_partial=transcript.on_partial,
            on_response=transcript.on_response,
            on_status=transcript.on_status,
            on_asked=transcript.on_question,
            note=self._note,
            patience_s=patience_s,
        )

    def take(self, line: str) -> bool:
        """Do what a typed line says; False when it says to end."""
        if line == '/quit':
            return False
        if line == '/reset':
            self._client.forget()
        elif line.startswith('/'):
            self._note(f'{line.split()[0]} is unknown: /reset, /quit')
        else:
            self._client.ask(line)
        return True

    def run(self, typed: LineInput, seconds: float | None) -> None:
        """Show and ask until somebody ends it, or `seconds` have passed."""
        executor = SingleThreadedExecutor()
        executor.add_node(self._node)
        end = time.monotonic() + (seconds or float('inf'))
        try:
            while time.monotonic() < end:
                executor.spin_once(timeout_sec=REFRESH_S)
                if not all(self.take(line) for line in typed.poll()):
                    return
                self._transcript.extra = self._state()
                self._transcript.typed = typed.text
                self._transcript.draw()
        finally:
            executor.shutdown()
            self._transcript.extra = ''
            self._client.close()

    def _state(self) -> str:
        if self._client.waiting:
            return f'  {self._client.waiting}'
        return '' if self._client.is_heard else f'  waiting for {self._client.prefix}'

    def _note(self, line: str) -> None:
        self._transcript.note(f'[yellow]{escape(line)}[/]')


def main(arguments: list[str] | None = None) -> int:
    """Chat until the person ends it."""
    parser = argparse.ArgumentParser(prog='vlo chat', description=__doc__.splitlines()[0])
    parser.add_argument('--node', default='/vlo', help='full name of the node')
    parser.add_argument('--camera', default='', help='its camera, where it has several')
    parser.add_argument('--seconds', type=float, help='end by itself after this long')
    parser.add_argument(
        '--patience',
        type=float,
        default=PATIENCE_S,
        help='seconds that a question waits for the node (%(default)g)',
    )
    options = parser.parse_args(arguments)
    prefix = stream_prefix(options.node, options.camera)
    console = Console()
    rclpy.init(args=[])
    transcript = Transcript(console)
    node = Node(f'vlo_chat_{os.getpid()}', start_parameter_services=False)
    chat = Chat(node, prefix, transcript, options.patience)
    console.print(f'[bold]vlo chat[/]  {prefix}\n{HELP}', highlight=False)
    with until_interrupted(), LineInput() as typed, transcript:
        chat.run(typed, options.seconds)
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
