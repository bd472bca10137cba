"""`vlo chat`: a transcript of a running node, to type questions into. Works over topics alone.

    vlo chat                        # the node /vlo
    vlo chat --node /robot/vlo --camera left

Typing goes on while it talks. `/reset` makes the node forget what it has seen, `/quit` ends.
"""

from __future__ import annotations

import argparse
import os
import signal
import time

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rich.console import Console
from std_srvs.srv import Trigger

from vlo_ros import msg
from vlo_ros.ros.line_input import LineInput
from vlo_ros.ros.transcript import Transcript

REFRESH_S = 0.05
HELP = '[dim]type a question and press Enter; /reset makes it forget, /quit or Ctrl-C ends[/]'


class ChatNode(Node):
    """Hears one stream of a node, and asks it.

    Attributes:
        num_unanswered: Questions asked here that wait for their answer.
    """

    def __init__(self, prefix: str, transcript: Transcript) -> None:
        """Subscribe to what the stream publishes.

        Args:
            prefix: Of its topics: the node's full name, and the camera's where there are several.
            transcript: Shows what comes.
        """
        super().__init__(f'vlo_chat_{os.getpid()}', start_parameter_services=False)
        self.prefix = prefix
        self._transcript = transcript
        self._unanswered: set[str] = set()
        self._num_asked = 0
        keep = QoSProfile(depth=1000)
        self._query = self.create_publisher(msg.Query, f'{prefix}/query', keep)
        self._reset = self.create_client(Trigger, f'{prefix}/reset')
        for topic, kind, callback in (
            ('decision', msg.Decision, transcript.on_decision),
            ('response/partial', msg.Response, transcript.on_partial),
            ('response', msg.Response, self._on_response),
            ('status', msg.StreamStatus, transcript.on_status),
        ):
            self.create_subscription(kind, f'{prefix}/{topic}', callback, keep)

    @property
    def num_unanswered(self) -> int:
        """Questions asked here that wait for their answer."""
        return len(self._unanswered)

    @property
    def is_heard(self) -> bool:
        """Whether anybody would hear a question."""
        return self._query.get_subscription_count() > 0

    def take(self, line: str) -> bool:
        """Do what a typed line says; False when it says to end."""
        if line == '/quit':
            return False
        if line == '/reset':
            self._ask_to_forget()
        elif line.startswith('/'):
            self._transcript.note(f'[yellow]{line.split()[0]} is unknown: /reset, /quit[/]')
        elif not self.is_heard:
            self._transcript.note(f'[yellow]nobody listens on {self.prefix}/query: not sent[/]')
        else:
            self._ask(line)
        return True

    def _ask(self, text: str) -> None:
        self._num_asked += 1
        query_id = f'{self.get_name()}-{self._num_asked}'
        self._unanswered.add(query_id)
        self._transcript.on_question(query_id, text)
        self._query.publish(msg.Query(text=text, query_id=query_id))

    def _ask_to_forget(self) -> None:
        if not self._reset.service_is_ready():
            self._transcript.note(f'[yellow]{self.prefix}/reset is not there[/]')
            return
        self._reset.call_async(Trigger.Request()).add_done_callback(self._on_reset)

    def _on_reset(self, future: rclpy.Future) -> None:
        answer = future.result()
        words = 'it has forgotten what it saw' if answer.success else answer.message
        self._transcript.note(f'[yellow]{words}[/]')

    def _on_response(self, response: msg.Response) -> None:
        self._unanswered.discard(response.query_id)
        self._transcript.on_response(response)


def chat(node: ChatNode, transcript: Transcript, typed: LineInput, seconds: float | None) -> None:
    """Show and ask until somebody ends it, or `seconds` have passed."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end = time.monotonic() + (seconds or float('inf'))
    was_heard = True
    try:
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=REFRESH_S)
            for line in typed.poll():
                if not node.take(line):
                    return
            if node.is_heard != was_heard:
                was_heard = node.is_heard
                transcript.extra = '' if was_heard else f'  {node.prefix} is not there; waiting'
            transcript.typed = typed.text
            transcript.draw()
    finally:
        executor.shutdown()


def main(arguments: list[str] | None = None) -> int:
    """Chat until the person ends it."""
    parser = argparse.ArgumentParser(prog='vlo chat', description=__doc__.splitlines()[0])
    parser.add_argument('--node', default='/vlo', help='full name of the node')
    parser.add_argument('--camera', default='', help='its camera, where it has several')
    parser.add_argument('--seconds', type=float, help='end by itself after this long')
    options = parser.parse_args(arguments)
    prefix = '/' + '/'.join(part for part in (options.node.strip('/'), options.camera) if part)
    console = Console()
    rclpy.init(args=[])
    transcript = Transcript(console)
    node = ChatNode(prefix, transcript)
    try:
        console.print(f'[bold]vlo chat[/]  {prefix}\n{HELP}', highlight=False)
        with LineInput() as typed, transcript:
            chat(node, transcript, typed, options.seconds)
    except (KeyboardInterrupt, ExternalShutdownException):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
