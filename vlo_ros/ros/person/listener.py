# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `listener`: asks a node `vlo` what it hears a person say.

    vlo listen --phrases questions.txt          # one of the lines of that file, to the node /vlo
    vlo listen --command 'whisper-cli -m model.bin -nt -f {wav}'
    ros2 run vlo_ros listener --ros-args -p node:=/robot/vlo -p phrases:=questions.txt
    ros2 param set /listener mute true          # hears nothing

While a `speaker` says something it does not listen, or the robot would ask itself.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from std_msgs.msg import Bool

from vlo_ros.config import Checked, setting
from vlo_ros.errors import VloError
from vlo_ros.hearing.ear import Ear
from vlo_ros.hearing.recognisers import (
    ENGINES,
    TIME_LIMIT_S,
    Recogniser,
    Wanted,
    recogniser_command,
)
from vlo_ros.hearing.sound import Recorder, SoundFile, recorder_command
from vlo_ros.hearing.utterances import LONGEST_S, PAUSE_S, UtteranceCutter
from vlo_ros.ros.interrupt import until_interrupted
from vlo_ros.ros.notices import Notices
from vlo_ros.ros.params import declare_once
from vlo_ros.ros.person.node_options import parameters_of
from vlo_ros.ros.person.speaker import LATCHED
from vlo_ros.ros.person.stream_client import Asker, stream_prefix

WATCH_S = 0.1
ECHO_S = 0.3  # of the speaker's last word in the room


@dataclass(frozen=True)
class ListenerConfig(Checked):
    """Whom to ask, and how to hear."""

    section = 'listener'

    node: str = setting('/vlo', 'full name of the node, with the camera where it has several')
    engine: str = setting(
        'auto',
        'what recognises; auto: the command if there is one, else pocketsphinx',
        choices=('auto', *ENGINES),
    )
    phrases: str = setting('', 'pocketsphinx: file with what may be said, one question a line')
    command: str = setting('', 'engine command: reads the file {wav}, prints what is said in it')
    time_limit: float = setting(
        TIME_LIMIT_S, 'seconds that recognising one utterance may take', ge=0.1, le=600.0
    )
    recorder: str = setting(
        '', 'program that writes raw sound to its stdout: 16 kHz, mono, S16LE; else arecord, parec'
    )
    wav: str = setting('', 'hear this sound file and end; any format that FFmpeg reads')
    pause: float = setting(PAUSE_S, 'silence that ends an utterance, s', ge=0.3, le=5.0)
    longest: float = setting(LONGEST_S, 'length of the longest utterance, s', ge=1.0, le=60.0)
    speaker: str = setting(
        '/speaker', 'full name of the node that is not listened to; empty: listen always'
    )
    unstamped: bool = setting(
        False, 'send no stamp, which means now: where camera and listener differ in their clocks'
    )


class ListenerNode(Node):
    """Hears on threads of its own, asks on the thread that spins it.

    Attributes:
        over: Done when there is nothing more to hear; its result is '' or what went wrong.
    """

    def __init__(self, **options) -> None:
        """Find recorder and recogniser, and begin to hear.

        Raises:
            VloError: A parameter is bad, or something is not installed; one line.
        """
        self._ear: Ear | None = None
        self._is_muted = threading.Event()
        self._is_spoken = threading.Event()
        self._deaf_until = 0.0  # monotonic s
        self._end: str | None = None
        self.over = Future()
        super().__init__('listener', **options)
        self.config = config = declare_once(self, ListenerConfig)
        self._notices = Notices(self.get_logger())
        muted = ParameterDescriptor(description='hear nothing')
        if self.declare_parameter('mute', False, muted).value:
            self._is_muted.set()
        self.add_post_set_parameters_callback(self._on_parameters)
        wanted = Wanted(config.phrases, config.command)
        ear = Ear(
            SoundFile(Path(config.wav).expanduser())
            if config.wav
            else Recorder(recorder_command(config.recorder)),
            UtteranceCutter(config.pause, config.longest),
            Recogniser(recogniser_command(config.engine, wanted), config.time_limit),
            now_ns=lambda: self.get_clock().now().nanoseconds,
            is_deaf=lambda: self.is_deaf,
            on_text=self._on_text,
            on_end=self._on_end,
            note=self._notices.warn,
        )
        self._asker = Asker(
            self,
            stream_prefix(config.node),
            on_asked=lambda query_id, text: self.get_logger().info(f'asked {query_id}: {text}'),
            note=lambda line: self.get_logger().warning(line),
        )
        self._speaking = f'{stream_prefix(config.speaker)}/speaking' if config.speaker else ''
        if self._speaking:
            self.create_subscription(Bool, self._speaking, self._on_speaking, LATCHED)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self.create_timer(WATCH_S, self._watch, clock=steady)
        self._ear = ear
        ear.start()

    @property
    def ear(self) -> Ear:
        """What hears, and counts."""
        return self._ear

    @property
    def is_deaf(self) -> bool:
        """Whether it does not listen now: muted, or the speaker speaks."""
        return (
            self._is_muted.is_set()
            or self._is_spoken.is_set()
            or time.monotonic() < self._deaf_until
        )

    def destroy_node(self) -> None:
        """Hear no more, say what came of it, and leave."""
        if self._ear is not None:
            self._ear.stop()
            self._asker.outbox.close()
            self.get_logger().info(f'of what was said: {self._ear.counts}')
        super().destroy_node()

    def _on_text(self, text: str, end_ns: int) -> None:
        self._asker.ask(text, 0 if self.config.unstamped else end_ns)

    def _on_end(self, reason: str) -> None:
        self._end = reason

    def _on_speaking(self, speaking: Bool) -> None:
        if speaking.data:
            self._is_spoken.set()
        else:
            self._hear_again()

    def _hear_again(self) -> None:
        if self._is_spoken.is_set():
            self._deaf_until = time.monotonic() + ECHO_S
            self._is_spoken.clear()

    def _on_parameters(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == 'mute':
                (self._is_muted.set if parameter.value else self._is_muted.clear)()

    def _watch(self) -> None:
        if self._is_spoken.is_set() and not self.count_publishers(self._speaking):
            self._hear_again()  # a speaker that was killed cannot say that it has ended
        if self._end is not None and not self._asker.outbox.waiting and not self.over.done():
            self._asker.wait_until_sent()
            self.over.set_result(self._end)


def run(ros_arguments: list[str] | None, overrides: list[Parameter] | None = None) -> int:
    """Listen until interrupted, or to the end of the sound."""
    rclpy.init(args=ros_arguments)
    try:
        node = ListenerNode(parameter_overrides=overrides)
    except VloError as error:
        rclpy.logging.get_logger('listener').fatal(str(error))
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    with until_interrupted():
        node.get_logger().info(f'asks {node.config.node} what it hears')
        executor.spin_until_future_complete(node.over)
    if complaint := node.over.result():
        node.get_logger().fatal(complaint)
    node.destroy_node()
    executor.shutdown()
    rclpy.try_shutdown()
    return 1 if complaint else 0


def main(arguments: list[str] | None = None) -> int:
    """`vlo listen`: the node with options instead of parameters. None: run as a ROS executable."""
    if arguments is None:
        return run(None)
    return run([], parameters_of(ListenerConfig, 'vlo listen', __doc__, arguments))


if __name__ == '__main__':
    raise SystemExit(main())
