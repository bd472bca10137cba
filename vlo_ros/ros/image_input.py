# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera's images on their way to the backlog: the receive lane and the encode lane."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import qos_policy_name_from_kind, qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from vlo_ros.errors import SourceError
from vlo_ros.events import Frame, FrameTokens
from vlo_ros.message_header import peek_header
from vlo_ros.ros.convert import to_rgb
from vlo_ros.ros.image_topic import full_name, image_topic
from vlo_ros.ros.inbox import Arrival, ImageInbox, WantedImage
from vlo_ros.ros.lanes import Lanes, surviving
from vlo_ros.ros.node_config import NodeConfig
from vlo_ros.ros.notices import Notices
from vlo_ros.ros.publishers import StreamPublishers
from vlo_ros.ros.qos import create_subscription, incompatible_pairs
from vlo_ros.ros.statistics import StreamStatistics
from vlo_ros.sampling import LATE_NS

if TYPE_CHECKING:
    from vlo_ros.checkpoint import VloModel


LATE = 'stamps go back by less than a second: late images are not judged'
STRAY = 'one stamp went back by more than a second and the next did not: left out'
RESTART = 'stamps went back by more than a second: the stream starts afresh'
CLOCK_WENT_BACK = JumpThreshold(
    min_forward=None, min_backward=Duration(nanoseconds=-LATE_NS), on_clock_change=False
)
# Names of nodes come later than their publishers; after so many looks it goes without them.
LOOKS_FOR_NAMES = 5
UNKNOWN_NAME = '_NODE_NAME_UNKNOWN_'


class ImageInput:
    """One camera's subscription, and the wanted images that wait for the encoder.

    Attributes:
        is_open: Whether images are let in.
        is_idle: Asked when `lazy`: True lets an image pass unseen.
        newest_ns: Stamp of the newest image, None before the first.
        frame_id: Of the newest image.
        topic: Where the images come from, for people.
    """

    def __init__(
        self,
        node,
        prefix: str,
        model: VloModel,
        frame_fps: float,
        config: NodeConfig,
        lanes: Lanes,
        topics: StreamPublishers,
        statistics: StreamStatistics,
        notices: Notices,
        on_restart: Callable[[], int],
    ) -> None:
        """Subscribe with the gate closed.

        Args:
            node: The node.
            prefix: In front of the topic `image`.
            model: Encodes the frames.
            frame_fps: Frames wanted per second.
            config: Transport and sizes of queues.
            lanes: The executor threads.
            topics: Told which camera took a frame.
            statistics: Counts what arrives and what becomes of it.
            notices: Told of what is wrong.
            on_restart: Called when stamps go back, before anything of the new time waits; returns
                the epoch that begins.
        """
        self.is_open = False
        self.is_idle: Callable[[], bool] = lambda: False
        self.newest_ns: int | None = None
        self.frame_id = ''
        self.inbox = ImageInbox(
            frame_fps, config.inbox_images, on_restart, lambda: self._reject(STRAY)
        )
        self._previous_frame_id = ''
        self._node = node
        self._model = model
        self._batch = config.encode_batch
        self._lanes = lanes
        self._topics = topics
        self._statistics = statistics
        self._notices = notices
        self._type = Image if config.image_transport == 'raw' else CompressedImage
        self._refused_policy = ''  # what a publisher offers otherwise; named at one of the looks
        self._num_mismatches = 0  # told by the receive lane; the watch lane looks into them
        self._num_looked_into = self._looks_left = 0
        topic = image_topic(node, f'{prefix}image', config.image_transport)
        self.topic = node.resolve_topic_name(topic)
        self._subscription = create_subscription(
            node,
            self._type,
            topic,
            surviving(node, notices, self.on_image),
            # REP 2003: sensor data is subscribed best effort. The last five images wait in the
            # middleware; the receive lane looks at stamps alone, so it is never late for them.
            qos_profile_sensor_data,
            callback_group=lanes.receive,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._on_mismatch),
            raw=True,  # the pixels of an image that is not wanted are never unpacked
        )
        self._clock_watch = node.get_clock().create_jump_callback(
            CLOCK_WENT_BACK, post_callback=lambda jump: self.inbox.clock_went_back()
        )

    def destroy(self) -> None:
        """Unsubscribe, and let go of the weights."""
        self._clock_watch.unregister()
        self._node.destroy_subscription(self._subscription)
        del self._model

    # -- receive lane ----------------------------------------------------------------------

    def on_image(self, serialized: bytes) -> None:
        """Keep an image that is wanted; never wait."""
        if not self.is_open:
            return
        self._statistics.image_arrived()
        self._notices.settle('stale', f'{self.topic}: images again')
        try:
            stamp_ns, frame_id = peek_header(serialized)
        except SourceError as error:
            self._reject(str(error))
            return
        self._statistics.pace.note(stamp_ns)
        self._watch_frame_id(frame_id)
        if self.is_idle():
            self.newest_ns = stamp_ns
            self._statistics.frames_skipped += 1
            return
        arrival = self.inbox.offer(stamp_ns, serialized)
        if arrival is Arrival.LATE:
            self._reject(LATE)
            return
        if arrival is not Arrival.HELD:
            self.newest_ns = stamp_ns
        if arrival is Arrival.UNWANTED:
            self._statistics.frames_skipped += 1
            return
        self._topics.note_frame_id(stamp_ns, frame_id)
        if arrival is Arrival.RESTARTED:
            self._notices.warn('restart', f'{self.topic}: {RESTART}')
        self._lanes.wake_encode()

    def _watch_frame_id(self, frame_id: str) -> None:
        """Notice two cameras on one topic: their frame_ids take turns."""
        if frame_id == self.frame_id:
            return
        if self.frame_id and frame_id == self._previous_frame_id:
            self._notices.warn(
                'two cameras',
                f'{self.topic}: frame_ids {self.frame_id!r} and {frame_id!r} take turns; two '
                'cameras on one topic? Give each its own with the parameter `cameras`',
            )
        self._previous_frame_id, self.frame_id = self.frame_id, frame_id

    def _on_mismatch(self, event) -> None:
        self._refused_policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        self._num_mismatches += 1

    # -- watch lane ------------------------------------------------------------------------

    def look_after(self) -> None:
        """Name the publishers that offer another QoS, once the graph knows who they are."""
        if (num := self._num_mismatches) != self._num_looked_into:
            self._num_looked_into, self._looks_left = num, LOOKS_FOR_NAMES
        if not self._looks_left:
            return
        self._looks_left -= 1
        me = (self._node.get_name(), self._node.get_namespace())
        theirs = {
            (there.node_name, there.node_namespace)
            for there, here, _ in incompatible_pairs(self._node, self.topic)
            if (here.node_name, here.node_namespace) == me
        }
        known = sorted(full_name(*names) for names in theirs if UNKNOWN_NAME not in names)
        if len(known) < max(len(theirs), 1):
            if self._looks_left:
                return
            known.append('a publisher')
        self._looks_left = 0
        policy = self._refused_policy
        for name in known:
            self._notices.warn(
                f'qos of {name}',
                f'{self.topic}: no images from {name}: it offers another {policy}; set '
                f'qos_overrides.{self.topic}.subscription.{policy} to what it offers',
            )

    # -- encode lane -----------------------------------------------------------------------

    def encode_some(self) -> tuple[list[FrameTokens] | None, int]:
        """Encode wanted images that wait; return frames, None when there are none, and epoch."""
        wanted, epoch = self.inbox.take(self._batch)
        if not wanted:
            return None, epoch
        frames = [frame for image in wanted if (frame := self._read(image)) is not None]
        try:
            return self._model.encode(frames) if frames else [], epoch
        except Exception:
            self._statistics.frames_rejected += len(frames)
            raise

    def _read(self, image: WantedImage) -> Frame | None:
        """Turn a message into a frame; a defective one is counted and left out."""
        try:
            pixels = to_rgb(deserialize_message(image.serialized, self._type))
        except SourceError as error:
            self._reject(str(error))
            return None
        self._topics.overlay.keep(image.stamp_ns, pixels)
        return Frame(image.stamp_ns, image.index, pixels)

    def _reject(self, line: str) -> None:
        self._statistics.frames_rejected += 1
        self._notices.error('rejected', f'{self.topic}: {line}')
