# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The main job on one screen: a camera, the node that watches it, and a transcript to type into.

./dev demo [--source kitchen.mcap] [--model config/models/X.yaml] [--seconds 20]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rich.console import Console
from rich.markup import escape

from vlo_ros import msg
from vlo_ros.config import BUNDLED, bundled_yaml, load_config
from vlo_ros.errors import VloError
from vlo_ros.fast_dds import LARGE_DATA, TRANSPORTS
from vlo_ros.ros.children import Child
from vlo_ros.ros.interrupt import until_interrupted
from vlo_ros.ros.line_input import LineInput
from vlo_ros.ros.person.stream_client import StreamClient
from vlo_ros.ros.transcript import Transcript
from vlo_ros.ros.truth import RenderedTruth

TEST_DATA = Path(__file__).resolve().parents[2] / 'tests' / 'golden' / 'live1plus'
LOADING_TIMEOUT_S = 600.0
REFRESH_S = 0.05


class DemoNode(Node):
    """Hears what the node `vlo` says, asks it, and moves it through its states."""

    def __init__(self, transcript: Transcript, truth: RenderedTruth | None) -> None:
        """Subscribe to everything that `vlo` publishes."""
        super().__init__('demo')
        self._transcript = transcript
        self._truth = truth
        self._asked: dict[str, str] = {}
        self._client = StreamClient(
            self,
            '/vlo',
            on_decision=self._on_decision,
            on_partial=transcript.on_partial,
            on_response=self._on_response,
            on_status=transcript.on_status,
            on_asked=self._on_asked,
            note=lambda line: transcript.note(f'[yellow]{escape(line)}[/]'),
        )
        self._change_state = self.create_client(ChangeState, '/vlo/change_state')

    def ask(self, text: str) -> None:
        """Send a question as soon as the node hears it."""
        self._client.ask(text)

    def request(self, transition: int) -> rclpy.Future:
        """Ask for a change of state."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return self._change_state.call_async(request)

    def is_vlo_there(self) -> bool:
        """Whether the node `vlo` is on the graph."""
        return self._change_state.service_is_ready()

    def _on_asked(self, query_id: str, text: str) -> None:
        self._asked[query_id] = text
        self._transcript.on_question(query_id, text)

    def _on_decision(self, decision: msg.Decision) -> None:
        self._transcript.on_decision(decision)
        if self._truth is not None:
            self._transcript.extra = self._truth.line(self._transcript.seconds(decision))

    def _on_response(self, response: msg.Response) -> None:
        mark = ''
        if self._truth is not None and not response.reason:
            at_s = self._transcript.seconds(response)
            question = self._asked.pop(response.query_id, None)
            if question is None:
                is_true = self._truth.is_true_narration(at_s, response.text)
            else:
                is_true = self._truth.is_true_answer(at_s, question, response.text)
            mark = {True: '[green]true[/] ', False: '[red]false[/] ', None: ''}[is_true]
        self._transcript.on_response(response, mark)


class Demo:
    """The two programs and the screen."""

    def __init__(self, options: argparse.Namespace, console: Console, folder: Path) -> None:
        """Prepare; nothing is started yet."""
        self._options = options
        self._console = console
        self._folder = folder
        self._children: list[Child] = []
        self._transcript = Transcript(console)
        self._node = DemoNode(self._transcript, truth_of(options.source))
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def run(self) -> None:
        """Start everything, and show it until the time is over.

        Raises:
            VloError: Something could not be started; one line.
        """
        options = self._options
        config = load_config(options.model)
        self._console.print(
            f'[bold]vlo_ros[/]  model {options.model}  source {options.source}', highlight=False
        )
        if not config.model.truthful:
            self._console.print(
                '[yellow]This is a test model: its words are not meant to be true.[/]'
            )
        with LineInput() as typed:
            vlo, camera = self._bring_up()
            self._console.print('[dim]type a question and press Enter; Ctrl-C ends[/]')
            self._show(typed, (vlo, camera))

    def _bring_up(self) -> tuple[Child, Child]:
        options = self._options
        with self._console.status('loading the model'):
            vlo = self._start('vlo_node', model=options.model, **self._vlo_parameters())
            self._wait_until(self._node.is_vlo_there, vlo, 'did not start')
            self._change(Transition.TRANSITION_CONFIGURE, vlo)
        self._change(Transition.TRANSITION_ACTIVATE, vlo)
        camera = self._start(
            'camera', source=options.source, stamps='now', loop=True, wait_for_subscribers=1
        )
        return vlo, camera

    def _show(self, typed: LineInput, children: tuple[Child, ...]) -> None:
        end = time.monotonic() + (self._options.seconds or float('inf'))
        with self._transcript:
            while time.monotonic() < end:
                self._executor.spin_once(timeout_sec=REFRESH_S)
                for line in typed.poll():
                    self._node.ask(line)
                self._transcript.typed = typed.text
                self._transcript.draw()
                for child in children:
                    self._check(child, 'has ended')

    def end(self) -> None:
        """End both programs, the camera first."""
        for child in reversed(self._children):
            child.interrupt()
        statuses = [child.end() for child in self._children]
        self._node.destroy_node()
        if any(statuses):
            logs = [
                f'{child.log} ({"was ended by force" if status < 0 else f"exit status {status}"})'
                for child, status in zip(self._children, statuses, strict=True)
                if status
            ]
            self._console.print(f'[dim]did not end well: {", ".join(logs)}[/]')

    def _vlo_parameters(self) -> dict[str, object]:
        options = self._options
        given = {'silence_threshold': options.threshold, 'frame_fps': options.fps}
        return {name: value for name, value in given.items() if value is not None}

    def _start(self, program: str, **parameters: object) -> Child:
        arguments = ['--ros-args']
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            arguments += ['-p', f'{name}:={text}']
        child = Child(f'vlo_ros.ros.{program}', arguments, self._folder)
        self._children.append(child)
        return child

    def _change(self, transition: int, vlo: Child) -> None:
        future = self._node.request(transition)
        self._wait_until(future.done, vlo, 'did not answer')
        if not future.result().success:
            raise VloError(vlo.complaint())

    def _wait_until(self, condition, child: Child, otherwise: str) -> None:
        end = time.monotonic() + LOADING_TIMEOUT_S
        while not condition():
            self._executor.spin_once(timeout_sec=REFRESH_S)
            self._check(child, otherwise)
            if time.monotonic() > end:
                raise VloError(f'{child.log.stem} {otherwise} in {LOADING_TIMEOUT_S:.0f} s')

    def _check(self, child: Child, otherwise: str) -> None:
        if not child.is_running:
            raise VloError(f'{child.log.stem} {otherwise}: {child.complaint()}')


def truth_of(source: str) -> RenderedTruth | None:
    """Return what is known to be true of a source, None for a recording."""
    kind, _, spec = source.partition(':')
    seed, _, split = spec.partition(':')
    return RenderedTruth(int(seed), split or 'new') if kind == 'rendered' and seed else None


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    is_bundled = bundled_yaml().exists()
    model = BUNDLED if is_bundled else str(TEST_DATA / 'model.yaml')
    source = 'rendered:3' if is_bundled else str(TEST_DATA / 'frames.npz')
    parser = argparse.ArgumentParser(prog='./dev demo', description=__doc__.splitlines()[0])
    parser.add_argument(
        '--source', default=source, help='bag, video, image folder, .npz or rendered:SEED'
    )
    parser.add_argument('--model', default=model, help='model YAML, or bundled')
    parser.add_argument('--threshold', type=float, help='silence threshold, 0 to 1')
    parser.add_argument('--fps', type=float, help='frames judged per second')
    parser.add_argument('--seconds', type=float, help='end by itself after this long')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 0 unless something could not be started."""
    options = read_options(arguments)
    # Images above 0.5 MB are nearly all lost on the default transport of Fast DDS.
    os.environ.setdefault(TRANSPORTS, LARGE_DATA)
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix='vlo_demo_'))
    rclpy.init(args=[])
    demo = Demo(options, console, folder)
    status = 0
    try:
        with until_interrupted():
            demo.run()
    except VloError as error:
        console.print(f'[red]demo: {error}[/]', highlight=False)
        status = 1
    finally:
        demo.end()
        rclpy.try_shutdown()
    return status


if __name__ == '__main__':
    sys.exit(main())
