# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Between the graph and the page: messages become plain events, wishes become messages.

rclpy runs on a thread of its own; `on_event` is called there.
"""

from __future__ import annotations

import dataclasses
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import cv2
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from vlo_ros import msg
from vlo_ros.config import StreamConfig, check_value
from vlo_ros.errors import ConfigError, SourceError
from vlo_ros.events import NS_PER_S
from vlo_ros.message_header import to_ns
from vlo_ros.overlay import CAPTION_S, Overlay, draw_overlay
from vlo_ros.response_latency import meaningful_s
from vlo_ros.ros.convert import to_rgb
from vlo_ros.ros.image_topic import IMAGE_TYPES, watched_images
from vlo_ros.ros.person.outbox import PATIENCE_S
from vlo_ros.ros.person.stream_client import StreamClient, stream_prefix
from vlo_ros.ros.transcript import STATES

Event = dict[str, Any]
SLIDERS = ('silence_threshold', 'frame_fps')
MAX_HISTORY = 300
JPEG_QUALITY = 80


class Bridge(Node):
    """Hears one stream of a node, asks it, sets its parameters, shows its camera.

    Attributes:
        image_topic: The camera's, '' until it is known.
        num_images: Images that came from it.
    """

    def __init__(
        self,
        node_name: str,
        camera: str,
        image: str,
        on_event: Callable[[Event], None],
        patience_s: float = PATIENCE_S,
        **options: Any,
    ) -> None:
        """Subscribe.

        Args:
            node_name: Full name of the node.
            camera: Its camera, '' where it has one.
            image: Camera topic; '' finds out what the node subscribes to.
            on_event: Told of everything that happens.
            patience_s: How long a question is held for the node, s.
            **options: As rclpy.node.Node takes them.
        """
        super().__init__(f'vlo_web_{os.getpid()}', start_parameter_services=False, **options)
        self.image_topic = image
        self.num_images = 0
        self._history: deque[Event] = deque(maxlen=MAX_HISTORY)
        self._node_name = stream_prefix(node_name)
        self._camera = camera
        self._on_event = on_event
        self._lock = threading.Lock()
        self._start_ns: int | None = None
        self._newest: bytes | None = None
        self._kind: type = Image
        self._images = None
        self._overlay = Overlay()
        self._caption_until = 0.0  # monotonic s
        self._client = StreamClient(
            self,
            stream_prefix(node_name, camera),
            on_decision=self._on_decision,
            on_partial=self._on_partial,
            on_response=self._on_response,
            on_status=self._on_status,
            on_asked=self._on_asked,
            note=self._note,
            patience_s=patience_s,
        )
        self._set = self.create_client(SetParameters, f'{self._node_name}/set_parameters')
        self._get = self.create_client(GetParameters, f'{self._node_name}/get_parameters')
        self.create_timer(1.0, self._look_around)

    @property
    def history(self) -> tuple[Event, ...]:
        """The newest sentences and questions, for a page that is opened later."""
        with self._lock:
            return tuple(self._history)

    # -- wishes, from any thread -----------------------------------------------------------

    def ask(self, text: str) -> None:
        """Send a question once the node is there; that it has to wait is an event too."""
        text = ' '.join(text.split())
        if not text:
            return
        self._client.ask(text)
        if not self._client.is_heard:
            self._note(self._client.waiting)

    def forget(self) -> None:
        """Ask the node to forget what it has seen."""
        self._client.forget()

    def set(self, name: str, value: float) -> None:
        """Set one of the node's parameters; a refusal is an event.

        Raises:
            ConfigError: It is not one of SLIDERS, or out of range.
        """
        if name not in SLIDERS:
            raise ConfigError(f'{name!r} cannot be set here')
        spec = next(spec for spec in dataclasses.fields(StreamConfig) if spec.name == name)
        check_value(StreamConfig.section, spec, value)
        if not self._set.service_is_ready():
            self._note('the node is not there: nothing was set')
            return
        wanted = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=name, value=wanted)])
        self._set.call_async(request).add_done_callback(self._on_set)

    def picture(self) -> bytes | None:
        """The newest camera image with the overlay drawn in, as JPEG; None before the first."""
        with self._lock:
            serialized, kind, overlay = self._newest, self._kind, self._overlay
            if time.monotonic() > self._caption_until:
                overlay = dataclasses.replace(overlay, caption='', query='')
        if serialized is None:
            return None
        try:
            image_HWC = to_rgb(deserialize_message(serialized, kind))
        except SourceError as error:
            self._note(str(error))
            return None
        drawn = cv2.cvtColor(draw_overlay(image_HWC, overlay), cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode('.jpg', drawn, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return bytes(jpeg)

    # -- what happens on the graph ---------------------------------------------------------

    def _on_decision(self, decision: msg.Decision) -> None:
        if self._start_ns is None:
            self._start_ns = to_ns(decision.header.stamp)
        latency_s = meaningful_s(to_ns(decision.latency))
        is_silent = decision.verdict == msg.Decision.VERDICT_SILENT
        with self._lock:
            self._overlay = dataclasses.replace(
                self._overlay,
                p_silence=decision.silence_probability,
                silence_threshold=decision.silence_threshold,
                latency_s=latency_s,
                is_speaking=not is_silent,
            )
        self._tell(
            {
                'kind': 'decision',
                'time': self._seconds(decision),
                'p_silence': _number(decision.silence_probability),
                'threshold': decision.silence_threshold,
                'silent': is_silent,
                'latency': latency_s,
            }
        )

    def _on_partial(self, response: msg.Response) -> None:
        self._tell({'kind': 'partial', **self._sentence(response)})

    def _on_response(self, response: msg.Response) -> None:
        self._tell({'kind': 'response', **self._sentence(response)}, keep=True)

    def _sentence(self, response: msg.Response) -> Event:
        question = next(
            (
                event['text']
                for event in reversed(self.history)
                if event['kind'] == 'question' and event['id'] == response.query_id
            ),
            '',
        )
        stamp_ns = to_ns(response.header.stamp)
        if response.text:
            with self._lock:
                self._overlay = dataclasses.replace(
                    self._overlay, caption=response.text, query=question
                )
                self._caption_until = time.monotonic() + CAPTION_S
        first_ns = to_ns(response.first_token_stamp)
        return {
            'time': self._seconds(response),
            'text': response.text,
            'id': response.query_id,
            'reason': response.reason,
            'answer': response.trigger == msg.Response.TRIGGER_QUERY,
            'cut': response.state in (msg.Response.STATE_TRUNCATED, msg.Response.STATE_CANCELLED),
            'sequence': response.sequence,
            'latency': meaningful_s(first_ns - stamp_ns) if first_ns else None,
        }

    def _on_status(self, status: msg.StreamStatus) -> None:
        self._tell(
            {
                'kind': 'status',
                'state': STATES.get(status.state, 'unknown'),
                'fps_received': status.fps_received,
                'fps_judged': status.fps_judged,
                'backlog': status.backlog_frames,
                'dropped': status.frames_dropped,
                'fill': status.cache_tokens / max(status.cache_capacity, 1),
                'p50': _number(status.decision_latency_p50),
                'p95': _number(status.decision_latency_p95),
                'model': status.model,
                'device': status.device,
                'error': status.last_error,
            }
        )

    def _on_image(self, serialized: bytes) -> None:
        with self._lock:
            self._newest = bytes(serialized)
            self.num_images += 1

    def _on_set(self, future) -> None:
        for result in future.result().results:
            if not result.successful:
                self._note(result.reason)
        self._read_settings()

    # -- once a second ---------------------------------------------------------------------

    def _look_around(self) -> None:
        if self._images is None:
            self._find_camera()
        self._read_settings()

    def _find_camera(self) -> None:
        topics = dict(self.get_topic_names_and_types())
        if not self.image_topic:
            images = watched_images(self, self._node_name)
            wanted = [topic for topic in images if self._is_of_camera(topic)]
            if not wanted:
                if images:
                    self._tell({'kind': 'camera', 'text': self._unknown_camera(images)})
                return
            self.image_topic = wanted[0]
        kinds = [
            IMAGE_TYPES[name] for name in topics.get(self.image_topic, ()) if name in IMAGE_TYPES
        ]
        if not kinds:
            return
        self._kind = kinds[0]
        self._images = self.create_subscription(
            # REP 2003: sensor data is subscribed best effort.
            self._kind,
            self.image_topic,
            self._on_image,
            qos_profile_sensor_data,
            raw=True,
        )

    def _is_of_camera(self, topic: str) -> bool:
        """Whether a topic of the node's namespace has the camera's name as a piece of its own."""
        namespace = self._node_name.rpartition('/')[0]
        return not self._camera or self._camera in topic.removeprefix(namespace).split('/')

    def _unknown_camera(self, images: list[str]) -> str:
        return (
            f'{self._node_name} watches {", ".join(images)}, none of them named after the camera '
            f'{self._camera!r}: start the page with --image TOPIC'
        )

    def _read_settings(self) -> None:
        if not self._get.service_is_ready():
            self._tell({'kind': 'settings', 'node': self._node_name, 'values': None})
            return
        future = self._get.call_async(GetParameters.Request(names=list(SLIDERS)))
        future.add_done_callback(self._on_settings)

    def _on_settings(self, future) -> None:
        values = [value.double_value for value in future.result().values]
        settings = dict(zip(SLIDERS, values, strict=False))
        self._tell({'kind': 'settings', 'node': self._node_name, 'values': settings})

    def _on_asked(self, query_id: str, text: str) -> None:
        self._tell({'kind': 'question', 'id': query_id, 'text': text}, keep=True)

    def _note(self, line: str) -> None:
        self._tell({'kind': 'note', 'text': line})

    def _tell(self, event: Event, *, keep: bool = False) -> None:
        if keep:
            with self._lock:
                self._history.append(event)
        self._on_event(event)

    def _seconds(self, message: msg.Decision | msg.Response) -> float:
        """Time on the camera's clock, from the first decision that was heard, s."""
        if self._start_ns is None:
            return 0.0
        return (to_ns(message.header.stamp) - self._start_ns) / NS_PER_S


def _number(value: float) -> float | None:
    """JSON has no nan."""
    return None if math.isnan(value) else value
