# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `camera`: publishes a recording, or the rendered world, as a camera would.

    ros2 run vlo_ros camera --ros-args -p source:=kitchen.mcap -r image:=/camera/image_raw

Stamps are those of the recording; with `stamps:=now` they are the present, as of a real camera.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CompressedImage, Image

from vlo_ros.config import Checked, setting
from vlo_ros.errors import ConfigError, VloError, one_line
from vlo_ros.events import Frame
from vlo_ros.ros.convert import (
    PUBLISHED_ENCODINGS,
    compressed_message_of,
    image_message_of,
    to_time,
)
from vlo_ros.ros.image_topic import image_topic
from vlo_ros.ros.interrupt import RCLError, until_interrupted
from vlo_ros.ros.notices import Notices
from vlo_ros.ros.params import declare_once
from vlo_ros.sampling import Sampler, Sampling
from vlo_ros.sources import open_source

STAMPLESS_FPS = 10.0
CLOCK_HZ = 50.0


@dataclass(frozen=True)
class CameraConfig(Checked):
    """What the camera publishes, and how fast."""

    section = 'camera'

    source: str = setting('', 'bag, video file, image folder, .npz, or rendered:SEED')
    topic: str = setting('', 'image topic of a bag; empty takes the only one')
    fps: float = setting(
        0.0,
        f'images per second; 0: all of a bag or video, {STAMPLESS_FPS:g} of what has no stamps',
        ge=0.0,
        le=1000.0,
    )
    rate: float = setting(1.0, 'speed of the replay, 2 is twice as fast', ge=0.01, le=1000.0)
    loop: bool = setting(False, 'begin again at the end; recorded stamps then go back')
    stamps: str = setting(
        'recorded', 'recorded: of the recording, now: of the moment', choices=('recorded', 'now')
    )
    clock: bool = setting(False, 'publish the time of the recording on /clock, for use_sim_time')
    encoding: str = setting('rgb8', 'of the raw image', choices=PUBLISHED_ENCODINGS)
    image_transport: str = setting(
        'raw', 'raw: `image`, compressed: `image/compressed`', choices=('raw', 'compressed')
    )
    jpeg_quality: int = setting(90, 'of compressed images', ge=1, le=100)
    frame_id: str = setting('camera', 'frame_id of the images')
    wait_for_subscribers: int = setting(
        0, 'publish nothing before this many subscribe', ge=0, le=100
    )


class EveryFrame(Sampler):
    """Wants every frame; `frame_fps` only times those that have no stamps."""

    def judge(self, stamp_ns: int) -> Sampling:
        """Want it."""
        self.index += 1
        return Sampling.WANTED


class CameraNode(Node):
    """Publishes one frame after another, each at its time.

    Attributes:
        is_done: Whether the recording has come to its end.
    """

    def __init__(self, **options: Any) -> None:
        """Open the source.

        Args:
            **options: As rclpy.node.Node takes them.

        Raises:
            VloError: A parameter or the source is bad; one line.
        """
        super().__init__('camera', **options)
        self.is_done = False
        self._notices = Notices(self.get_logger())
        self.config = config = declare_once(self, CameraConfig)
        if not config.source:
            raise ConfigError('source: nothing is given to publish')
        self._frames = self._read()
        self._frame = next(self._frames, None)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._origin_ns: tuple[int, int] | None = None  # steady time, recorded time
        self._origin_now_ns = 0
        is_raw = config.image_transport == 'raw'
        self._publisher = self.create_publisher(
            Image if is_raw else CompressedImage,
            image_topic(self, 'image', config.image_transport),
            # Reliable on this side serves subscribers of both kinds.
            QoSProfile(depth=10),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._timer = self.create_timer(0.05, self._publish_due, clock=self._steady)
        if config.clock:
            self._clock_publisher = self.create_publisher(ClockMessage, '/clock', 10)
            self.create_timer(1 / CLOCK_HZ, self._publish_clock, clock=self._steady)

    def _read(self) -> Iterator[Frame]:
        """Read the source, again and again when it loops."""
        config = self.config
        while True:
            sampler = Sampler(config.fps) if config.fps else EveryFrame(STAMPLESS_FPS)
            yield from open_source(config.source, config.topic or None).frames(sampler)
            if not config.loop:
                return

    def _publish_due(self) -> None:
        """Publish the frames whose time has come, and sleep until the next one's."""
        if self._origin_ns is None:
            if self._publisher.get_subscription_count() < self.config.wait_for_subscribers:
                return
            self._restart_time()
        while self._frame is not None and (wait_ns := self._wait_ns()) <= 0:
            previous_ns = self._frame.stamp_ns
            self._publish(self._frame)
            try:
                self._frame = next(self._frames, None)
            except VloError as error:
                self.get_logger().error(str(error))
                self._frame = None
            if self._frame is not None and self._frame.stamp_ns < previous_ns:
                self._restart_time()
        if self._frame is None:
            self.is_done = True
            self._timer.cancel()
            return
        self._timer.timer_period_ns = max(wait_ns, 1)
        self._timer.reset()

    def _restart_time(self) -> None:
        """Let the next frame's time be now."""
        if self._frame is not None:
            self._origin_ns = (self._steady.now().nanoseconds, self._frame.stamp_ns)
            self._origin_now_ns = self.get_clock().now().nanoseconds

    def _wait_ns(self) -> int:
        """Steady time until the next frame is due."""
        steady_ns, recorded_ns = self._origin_ns
        due_ns = steady_ns + round((self._frame.stamp_ns - recorded_ns) / self.config.rate)
        return due_ns - self._steady.now().nanoseconds

    def _publish(self, frame: Frame) -> None:
        config = self.config
        stamp_ns = frame.stamp_ns
        if config.stamps == 'now':  # when it was due, as evenly spaced as in the recording
            passed_ns = round((stamp_ns - self._origin_ns[1]) / config.rate)
            stamp_ns = self._origin_now_ns + passed_ns
        if config.image_transport == 'raw':
            message = image_message_of(frame.image_HWC, stamp_ns, config.frame_id, config.encoding)
        else:
            message = compressed_message_of(
                frame.image_HWC, stamp_ns, config.frame_id, config.jpeg_quality
            )
        try:
            self._publisher.publish(message)
        except RCLError as error:  # the middleware is overrun, or the program is ending
            if self.context.ok():
                self._notices.warn('publish', f'an image was not sent: {one_line(error)}')

    def _publish_clock(self) -> None:
        if self._origin_ns is None or self.is_done:
            return
        steady_ns, recorded_ns = self._origin_ns
        passed_ns = round((self._steady.now().nanoseconds - steady_ns) * self.config.rate)
        self._clock_publisher.publish(ClockMessage(clock=to_time(recorded_ns + passed_ns)))


def main(args: list[str] | None = None) -> int:
    """Publish until the end of the recording or an interrupt."""
    rclpy.init(args=args)
    try:
        node = CameraNode()
    except VloError as error:
        rclpy.logging.get_logger('camera').fatal(str(error))
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    with until_interrupted():
        while not node.is_done:
            executor.spin_once()
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
