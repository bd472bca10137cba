# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `speaker`: says aloud what a node `vlo` responds, sentence by sentence as it streams.

    vlo speak                                   # of the node /vlo
    ros2 run vlo_ros speaker --ros-args -p node:=/robot/vlo -p engine:=piper -p voice:=amy.onnx
    ros2 param set /speaker mute true           # at once, in the middle of a word

Late remarks are left out, the newest is said (vlo_ros/speech/speech_queue.py). `~/speaking` tells
when it can be heard, so that nobody takes its voice for a person's.
"""

from __future__ import annotations

import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool

from vlo_ros import msg
from vlo_ros.config import Checked, setting
from vlo_ros.errors import ConfigError, VloError, one_line
from vlo_ros.ros.interrupt import until_interrupted
from vlo_ros.ros.params import declare_once
from vlo_ros.ros.person.node_options import parameters_of
from vlo_ros.ros.person.stream_client import KEEP, stream_prefix
from vlo_ros.speech.program import Program, SpeechError
from vlo_ros.speech.speech_queue import SpeechQueue
from vlo_ros.speech.voices import ENGINES, player_command, voice_command

# Whoever comes later still learns whether it speaks.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True)
class SpeakerConfig(Checked):
    """Whose responses are said, and by what voice."""

    section = 'speaker'

    node: str = setting('/vlo', 'full name of the node, with the camera where it has several')
    engine: str = setting('auto', 'program that speaks', choices=ENGINES)
    voice: str = setting('', 'a name that the engine knows, piper: path of the .onnx model')
    words_per_minute: int = setting(170, 'speed of eSpeak NG', ge=80, le=450)
    command: str = setting('', 'engine command: text on its stdin, writes the file {wav}')
    output_folder: str = setting('', 'write WAV files there instead of playing them')
    answers_only: bool = setting(False, 'say answers to queries, and nothing by itself')


class SpeakerNode(Node):
    """Hears responses on one thread, says them on another."""

    def __init__(self, **options) -> None:
        """Find voice and player.

        Raises:
            VloError: A parameter is bad, or there is no voice; one line.
        """
        self._is_muted = threading.Event()
        self._voice: Program | None = None
        self._player: Program | None = None
        self._scratch = tempfile.TemporaryDirectory(prefix='vlo_speaker_')
        self._telling = threading.Lock()
        self._is_leaving = False
        self._is_heard: bool | None = None  # as last told
        super().__init__('speaker', **options)
        self.config = config = declare_once(self, SpeakerConfig)
        self._voice = Program(
            voice_command(config.engine, config.voice, config.words_per_minute, config.command)
        )
        self._folder = _made(config.output_folder) if config.output_folder else None
        if self._folder is None:
            self._player = Program(player_command())
        self._queue = SpeechQueue()
        self._num_said = 0
        self._speaking = self.create_publisher(Bool, '~/speaking', LATCHED)
        self._tell(is_speaking=False)
        self._wake = self.create_guard_condition(self._speak, MutuallyExclusiveCallbackGroup())
        muted = ParameterDescriptor(description='say nothing; true stops in the middle of a word')
        if self.declare_parameter('mute', False, muted).value:
            self._is_muted.set()
        self.add_post_set_parameters_callback(self._on_parameters)
        prefix = stream_prefix(config.node)
        self.create_subscription(msg.Response, f'{prefix}/response', self._on_response, KEEP)
        self.create_subscription(
            msg.Response, f'{prefix}/response/partial', self._on_response, KEEP
        )

    @property
    def num_dropped(self) -> int:
        """Responses left out because they came faster than they can be said."""
        return self._queue.num_dropped

    def destroy_node(self) -> None:
        """Fall silent and leave."""
        self._is_muted.set()
        self._stop()
        with self._telling:
            self._is_leaving = True
        super().destroy_node()
        self._scratch.cleanup()

    def _on_response(self, response: msg.Response) -> None:
        is_answer = response.trigger == msg.Response.TRIGGER_QUERY
        if self._is_muted.is_set() or (self.config.answers_only and not is_answer):
            return
        if response.state == msg.Response.STATE_PARTIAL:
            self._queue.grow(response.sequence, response.text, is_answer=is_answer)
        elif response.state == msg.Response.STATE_CANCELLED:
            # A refused query has no text, and shares the number of the next response.
            if response.text:
                self._queue.cancel(response.sequence)
        else:
            self._queue.finish(response.sequence, response.text, is_answer=is_answer)
        self._wake.trigger()

    def _on_parameters(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name != 'mute':
                continue
            if parameter.value:
                self._is_muted.set()
                self._queue.clear()
                self._stop()
            else:
                self._is_muted.clear()

    def _speak(self) -> None:
        """Say what waits, one sentence after the other."""
        while not self._is_muted.is_set() and (sentence := self._queue.take()) is not None:
            try:
                self._say(sentence)
            except (SpeechError, OSError) as error:
                self.get_logger().error(f'not said: {error}')
        self._tell(is_speaking=False)

    def _say(self, sentence: str) -> None:
        self._num_said += 1
        folder = self._folder or Path(self._scratch.name)
        wav = folder / f'{self._num_said:06d}.wav'
        # Under another name first: whoever watches the folder sees whole files only.
        part = wav.with_suffix('.part')
        try:
            if self._voice.run(part, sentence, self._is_wanted) and self._is_wanted():
                part.rename(wav)
                self.get_logger().debug(f'saying: {sentence}')
                if self._player is not None:
                    self._tell(is_speaking=True)
                    self._player.run(wav, is_wanted=self._is_wanted)
        finally:
            part.unlink(missing_ok=True)
            if self._folder is None:
                wav.unlink(missing_ok=True)

    def _is_wanted(self) -> bool:
        return not self._is_muted.is_set()

    def _tell(self, *, is_speaking: bool) -> None:
        with self._telling:
            if not self._is_leaving and self.context.ok() and is_speaking != self._is_heard:
                self._is_heard = is_speaking
                self._speaking.publish(Bool(data=is_speaking))

    def _stop(self) -> None:
        for program in (self._voice, self._player):
            if program is not None:
                program.stop()


def _made(name: str) -> Path:
    """Make a folder if it is not there.

    Raises:
        ConfigError: Nothing can be written there; one line.
    """
    try:
        folder = Path(name).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # the latter: ~ of a user who is not there
        raise ConfigError(
            f'speaker.output_folder: give a folder that can be written: {one_line(error)}'
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f'speaker.output_folder: {folder} cannot be written')
    return folder


def run(ros_arguments: list[str] | None, overrides: list[Parameter] | None = None) -> int:
    """Speak until interrupted."""
    rclpy.init(args=ros_arguments)
    try:
        node = SpeakerNode(parameter_overrides=overrides)
    except VloError as error:
        rclpy.logging.get_logger('speaker').fatal(str(error))
        rclpy.try_shutdown()
        return 1
    executor = MultiThreadedExecutor(num_threads=3)
    executor.add_node(node)
    with until_interrupted():
        node.get_logger().info(f'says what {node.config.node} responds')
        executor.spin()
    node.destroy_node()  # ends what is being said, so that the executor can end
    executor.shutdown()
    rclpy.try_shutdown()
    return 0


def main(arguments: list[str] | None = None) -> int:
    """`vlo speak`: the node with options instead of parameters. None: run as a ROS executable."""
    if arguments is None:
        return run(None)
    return run([], parameters_of(SpeakerConfig, 'vlo speak', __doc__, arguments))


if __name__ == '__main__':
    raise SystemExit(main())
