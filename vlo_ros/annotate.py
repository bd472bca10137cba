# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A copy of a bag with what the model made of it: decisions, responses, overlay pictures.

    1. replay the image topic            -> what was decided and said at which frame
    2. copy every message as it is, and behind each judged image write what belongs to it

Needs no ROS. The definitions of the messages are inside the copy, so that tools which have never
heard of vlo_ros can read it.
"""

from __future__ import annotations

import math
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from vlo_ros.checkpoint import VloModel
from vlo_ros.config import StreamConfig
from vlo_ros.errors import SourceError, one_line
from vlo_ros.events import NS_PER_S, Frame, Query
from vlo_ros.image_message import to_rgb
from vlo_ros.message_definitions import DECISION, RESPONSE, message_types
from vlo_ros.message_header import peek_header
from vlo_ros.overlay import CAPTION_S, Overlay, draw_overlay
from vlo_ros.replay import ReplayEvent, replay
from vlo_ros.sampling import Sampler
from vlo_ros.sources.bag import BagRecording

COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
VERDICTS = {'silent': 0, 'respond': 1, 'query': 2}  # Decision.VERDICT_*
STATES = {'eos': 1, 'length': 2}  # Response.STATE_*
JPEG_QUALITY = 85
FORMAT_VERSION = 9


@dataclass
class Judgement:
    """What happened at one frame.

    Attributes:
        stamp_ns: The frame's stamp.
        decision: Its `frame` event.
        responses: The `response` events that followed it; at the first frame also those before it.
    """

    stamp_ns: int
    decision: ReplayEvent
    responses: list[ReplayEvent] = field(default_factory=list)


@dataclass(frozen=True)
class Counts:
    """What was added."""

    decisions: int
    responses: int
    copied: int


def judge(
    recording: BagRecording,
    queries: Sequence[Query],
    model: VloModel,
    config: StreamConfig,
    on_event: Callable[[ReplayEvent], None] = lambda event: None,
) -> list[Judgement]:
    """Replay the image topic of a bag.

    Raises:
        SourceError: As `replay`.
    """
    stamps: list[int] = []

    def noted() -> Iterator[Frame]:
        for frame in recording.frames(Sampler(config.frame_fps)):
            stamps.append(frame.stamp_ns)
            yield frame

    judgements: list[Judgement] = []
    early: list[ReplayEvent] = []  # asked before the first frame
    for event in replay(noted(), queries, model, config):
        on_event(event)
        if event['kind'] == 'frame':
            # Every frame is judged once, in order.
            judgements.append(Judgement(stamps[len(judgements)], event))
        else:
            (judgements[-1].responses if judgements else early).append(event)
    if judgements:
        judgements[0].responses[:0] = early
    return judgements


def write_annotated(
    source: Path,
    image_topic: str,
    output: Path,
    judgements: Iterable[Judgement],
    threshold: float,
    node: str = '/vlo',
    storage: str = 'mcap',
) -> Counts:
    """Copy the bag `source` to the new folder `output` with `judgements` added.

    Args:
        source: A bag with its index: a folder with metadata.yaml, or a file.
        image_topic: The topic that was judged.
        output: Must not exist. It is there when it is complete, and not before.
        judgements: In the order of the frames.
        threshold: Silence threshold that was used.
        node: In front of the added topics.
        storage: 'mcap' or 'sqlite3'.

    Raises:
        SourceError: The output exists or cannot be written, or the bag cannot be copied.
    """
    if output.exists():
        raise SourceError(f'--output {output}: exists already')
    part = output.with_name(f'.{output.name}.part')
    shutil.rmtree(part, ignore_errors=True)
    try:
        with Reader(source) as reader:
            wanted = [f'{node}/{name}' for name in ('decision', 'response', 'overlay/compressed')]
            for connection in reader.connections:
                if connection.topic in wanted:
                    raise SourceError(
                        f'{source}: has a topic {connection.topic} already; choose another name '
                        'with --node'
                    )
            with Writer(part, version=FORMAT_VERSION, storage_plugin=STORAGES[storage]) as writer:
                annotator = _Annotator(writer, node, threshold, judgements)
                annotator.copy(reader, image_topic)
        # The name inside the files is the folder's: rosbag2 writes it so.
        _rename(part, output)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, 'strerror', None) or one_line(error)
        raise SourceError(f'--output {output}: {reason}; nothing is left of it') from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return annotator.counts()


class _Annotator:
    """Writes what belongs to each judged image behind it."""

    def __init__(
        self, writer: Writer, node: str, threshold: float, judgements: Iterable[Judgement]
    ) -> None:
        self._writer = writer
        self._types = message_types()
        self._threshold = threshold
        self._pending = iter(judgements)
        self._next = next(self._pending, None)
        self._num = {'decisions': 0, 'responses': 0, 'copied': 0}
        self._caption, self._query, self._until_ns = '', '', 0
        self._decision = self._add(f'{node}/decision', DECISION)
        self._response = self._add(f'{node}/response', RESPONSE)
        self._overlay = self._add(f'{node}/overlay/compressed', COMPRESSED_IMAGE)

    def counts(self) -> Counts:
        return Counts(**self._num)

    def copy(self, reader: Reader, image_topic: str) -> None:
        copies = {connection.id: self._add_copy(connection) for connection in reader.connections}
        for connection, log_ns, data in reader.messages():
            self._writer.write(copies[connection.id], log_ns, data)
            self._num['copied'] += 1
            if connection.topic == image_topic and self._next is not None:
                self._annotate(connection.msgtype, log_ns, bytes(data))

    def _annotate(self, msgtype: str, log_ns: int, data: bytes) -> None:
        try:
            stamp_ns = peek_header(data)[0] or log_ns
        except SourceError:  # left out when it was judged
            return
        if self._next is None or stamp_ns != self._next.stamp_ns:
            return
        judgement, self._next = self._next, next(self._pending, None)
        image = self._types.deserialize_cdr(data, msgtype)
        header = self._header(stamp_ns, image.header.frame_id)
        self._write(self._decision, log_ns, DECISION, self._decision_of(judgement, header))
        self._num['decisions'] += 1
        for event in judgement.responses:
            response = self._response_of(judgement, event, header)
            self._write(self._response, log_ns, RESPONSE, response)
            self._num['responses'] += 1
            self._caption, self._query = response.text, event['query'] or ''
            self._until_ns = stamp_ns + round(CAPTION_S * NS_PER_S)
        picture = self._picture(to_rgb(image), judgement)
        message = self._types.types[COMPRESSED_IMAGE](
            header=header, format='rgb8; jpeg compressed bgr8', data=picture
        )
        self._write(self._overlay, log_ns, COMPRESSED_IMAGE, message)

    def _decision_of(self, judgement: Judgement, header: Any) -> Any:
        event = judgement.decision
        duration = self._types.types['builtin_interfaces/msg/Duration']
        return self._types.types[DECISION](
            header=header,
            frame_index=event['index'],
            verdict=VERDICTS[event['decision']],
            silence_probability=_or_nan(event['p_silence']),
            silence_threshold=self._threshold,
            latency=duration(sec=0, nanosec=0),  # nobody waited
        )

    def _response_of(self, judgement: Judgement, event: ReplayEvent, header: Any) -> Any:
        is_answer = event['query'] is not None
        never = self._time(0)
        return self._types.types[RESPONSE](
            header=header,
            text=event['text'].strip(),
            query_id=event['query'] or '',
            reason='',
            trigger=int(is_answer),
            state=STATES[event['finish']],
            sequence=self._num['responses'],
            silence_probability=(
                math.nan if is_answer else _or_nan(judgement.decision['p_silence'])
            ),
            first_token_stamp=never,
            finished_stamp=never,
            num_tokens=len(event['token_ids']),
        )

    def _picture(self, image_HWC: Any, judgement: Judgement) -> Any:
        is_recent = judgement.stamp_ns <= self._until_ns
        overlay = Overlay(
            caption=self._caption if is_recent else '',
            query=self._query if is_recent else '',
            p_silence=judgement.decision['p_silence'],
            silence_threshold=self._threshold,
            is_speaking=judgement.decision['decision'] != 'silent',
        )
        drawn = draw_overlay(image_HWC, overlay)
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        _, jpeg = cv2.imencode('.jpg', cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), quality)
        return np.asarray(jpeg).reshape(-1)

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        kind = self._types.types['std_msgs/msg/Header']
        return kind(stamp=self._time(stamp_ns), frame_id=frame_id)

    def _time(self, stamp_ns: int) -> Any:
        sec, nanosec = divmod(stamp_ns, NS_PER_S)
        return self._types.types['builtin_interfaces/msg/Time'](sec=sec, nanosec=nanosec)

    def _add(self, topic: str, msgtype: str) -> Any:
        return self._writer.add_connection(topic, msgtype, typestore=self._types)

    def _add_copy(self, connection: Any) -> Any:
        ext = connection.ext
        common = {
            'serialization_format': ext.serialization_format,
            'offered_qos_profiles': ext.offered_qos_profiles,
        }
        topic, msgtype = connection.topic, connection.msgtype
        if connection.msgdef.data and connection.digest:
            return self._writer.add_connection(
                topic, msgtype, msgdef=connection.msgdef.data, rihs01=connection.digest, **common
            )
        if msgtype in self._types.types:
            return self._writer.add_connection(topic, msgtype, typestore=self._types, **common)
        # An old bag with a message that nobody here knows: it is copied as it is.
        unknown = 'RIHS01_' + 64 * '0'
        return self._writer.add_connection(topic, msgtype, msgdef='#', rihs01=unknown, **common)

    def _write(self, connection: Any, log_ns: int, msgtype: str, message: Any) -> None:
        data = self._types.serialize_cdr(message, msgtype)
        self._writer.write(connection, log_ns, bytes(data))


def _rename(part: Path, output: Path) -> None:
    """Give the complete bag its name, in its files' names and in the metadata."""
    metadata = part / 'metadata.yaml'
    text = metadata.read_text(encoding='utf-8')
    for storage in part.glob(f'{part.name}*'):
        new_name = storage.name.replace(part.name, output.name, 1)
        storage.rename(part / new_name)
    metadata.write_text(text.replace(part.name, output.name), encoding='utf-8')
    part.rename(output)


def _or_nan(probability: float | None) -> float:
    return math.nan if probability is None else probability
