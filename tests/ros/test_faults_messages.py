# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A fuzzer: a live node is sent hundreds of messages that no camera and no person would send."""

import array
import collections

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from tests.chance import source_of_chance
from tests.ros.graph import S
from vlo_ros import msg
from vlo_ros.image_message import ALIASES, ENCODINGS
from vlo_ros.ros.convert import to_time

pytestmark = pytest.mark.timeout(900)  # as long as its own waits
NUM_IMAGES, NUM_QUERIES = 240, 120
ENDS = ('judged', 'skipped', 'dropped', 'rejected')
PIECES = (
    *('<v>', '<|eot_id|>', '</s>', ']\n', '\nAssistant:', '\nUser: ', '[', ',', '\x00', '\x1b[2J'),
    *('\u202e', '\ufeff', '\U0001f600', 'What am I doing?', ' ', '\r\n', '%s', '{}', 'x' * 3000),
)


PARAMETERS = {
    'max_new_tokens': 3,
    'stale_after': 0.5,
    'inbox_images': NUM_IMAGES,
    'backlog_queries': 32,
    'backlog_frames': NUM_IMAGES,
}


@pytest.fixture
def graph(live):
    return live.graph


@pytest.fixture
def draw():
    return source_of_chance()


def wild(draw, usual, *others):
    """Mostly what is usual, now and then something else, or any 32 bits."""
    if draw.random() < 0.8:
        return usual
    return draw.choice([*others, 0, 1, 2**31, 2**32 - 1, draw.randrange(2**32)])


def wild_image(draw, stamp_ns):
    encoding = draw.choice([*ENCODINGS, *ALIASES, '16UC1', '32FC1', '', 'rgb8 ', '\u00fc' * 50])
    plain = ALIASES.get(encoding, encoding)
    height, width = draw.randrange(1, 40), 2 * draw.randrange(1, 20)
    step = width * ENCODINGS.get(plain, 2) + draw.choice([0, 0, 5])
    data = draw.randbytes(step * height)
    message = Image(
        width=wild(draw, width, width - 1, width + 1),
        height=wild(draw, height, height - 1, height + 1),
        step=wild(draw, step, step - 1, step + 1),
        encoding=encoding,
        is_bigendian=draw.choice([0, 1, 255]),
    )
    message.data = array.array('B', data[: draw.choice([len(data)] * 4 + [0, len(data) // 2])])
    return stamped(draw, message, stamp_ns)


def wild_file(draw, stamp_ns):
    side = draw.randrange(1, 60)
    pixels = np.frombuffer(draw.randbytes(side * side * 3), np.uint8).reshape(side, side, 3)
    kind = draw.choice(['jpg', 'png', 'bmp'])
    data = bytearray(cv2.imencode(f'.{kind}', pixels)[1].tobytes())
    for _ in range(draw.choice([0, 0, 1, 5])):
        data[draw.randrange(len(data))] = draw.randrange(256)
    data = data[: draw.choice([len(data)] * 3 + [0, len(data) // 2])]
    message = CompressedImage(format=draw.choice(['jpeg', 'png', 'rgb8; jpeg compressed', '']))
    message.data = array.array('B', bytes(data))
    return stamped(draw, message, stamp_ns)


def stamped(draw, message, stamp_ns):
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = draw.choice(['eye', 'eye', 'other', '', '\U0001f600' * 20])
    return message


def wild_stamp(draw, now_ns):
    """Mostly of now; of the past, of the future, of the ends of what a stamp holds."""
    if draw.random() < 0.9:
        return now_ns
    near = now_ns + draw.randrange(-5 * S, 5 * S)
    return draw.choice([near, near, 0, -S, (2**31 - 1) * S, now_ns + 10**6 * S])


def wild_query(draw, number, now_ns):
    text = ''.join(draw.choice(PIECES) for _ in range(draw.randrange(6)))
    # The middleware ends a string at its first zero.
    query = msg.Query(text=text, query_id=f'{number} {draw.choice(PIECES)}'.split('\0')[0])
    query.stamp = to_time(wild_stamp(draw, now_ns))
    return query


def all_judged_or_rejected(live, before, measured):
    """Wait until the end of each image since `before` is counted: every one was wanted."""

    def ends_of(status):
        return {
            end: getattr(status, f'frames_{end}') - getattr(before, f'frames_{end}')
            for end in ENDS
        }

    after = live.status(
        lambda status: (
            status.frames_received - before.frames_received == NUM_IMAGES
            and sum(ends_of(status).values()) == NUM_IMAGES
        )
    )
    ends = ends_of(after)
    measured('ends of the images', ends)
    assert (ends['skipped'], ends['dropped']) == (0, 0)
    assert ends['judged'] > 20 and ends['rejected'] > 20


def is_well(graph, live):
    """The next good image is judged, and nothing went wrong that is ours to mend."""
    live.fresh()
    message = Image(width=8, height=6, encoding='rgb8', step=24, data=bytes(144))
    message.header.stamp = to_time(live.start_ns)
    graph.send_message(message)
    graph.wait_for(lambda: graph.heard('decision'))
    assert live.child.poll() is None
    assert 'Traceback' not in live.log.read_text()


def test_every_wild_image_is_judged_or_rejected(graph, live, draw, measured):
    before = live.status()
    for number in range(NUM_IMAGES):
        graph.send_message(wild_image(draw, live.start_ns + number * S // 2))
    all_judged_or_rejected(live, before, measured)
    is_well(graph, live)


def test_every_wild_compressed_image_is_judged_or_rejected(graph, live, draw, measured):
    with live.compressed():
        before = live.status()
        for number in range(NUM_IMAGES):
            message = wild_file(draw, live.start_ns + number * S // 2)
            graph.send_message(message, 'image/compressed')
        all_judged_or_rejected(live, before, measured)
    is_well(graph, live)


def test_every_wild_query_is_told_once_whatever_the_stamps(graph, live, draw, measured):
    ids = []
    for number in range(NUM_QUERIES):
        now_ns = live.start_ns + number * S // 2
        query = wild_query(draw, number, now_ns)
        ids.append(query.query_id)
        graph.send_message(query, 'vlo/query')
        graph.send_message(wild_image(draw, wild_stamp(draw, now_ns)))
    told = live.told_in_the_end(ids)
    counts = collections.Counter(response.query_id for response in told)
    assert counts == collections.Counter(ids)
    refused = [response for response in told if response.reason]
    measured('queries answered', len(told) - len(refused))
    measured('queries refused', len(refused))
    assert all('\n' not in response.reason for response in refused)
    assert 0 < len(refused) < len(told)
    is_well(graph, live)
