# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Any bag that rosbags writes is read back: every image, in the order of stamps, unchanged."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import Writer

from tests.recordings import IMAGE, START_NS, STORAGES, TYPES, header
from vlo_ros.sampling import Sampler
from vlo_ros.sources import open_source

MOST_FPS = 120.0
LEAST_GAP_NS = round(1e9 / MOST_FPS) + 1


@st.composite
def recordings(draw):
    """Images of one topic among messages of others, recorded a moment after their stamps."""
    gaps = draw(st.lists(st.integers(LEAST_GAP_NS, 10**10), min_size=1, max_size=12))
    stamps = [START_NS + sum(gaps[: n + 1]) for n in range(len(gaps))]
    images = []
    for stamp_ns in stamps:
        height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        seed = draw(st.integers(0, 2**32 - 1))
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        images.append((stamp_ns, pixels))
    delays = draw(st.lists(st.integers(0, 10**6), min_size=len(gaps), max_size=len(gaps)))
    chatter = draw(st.lists(st.integers(START_NS, stamps[-1]), max_size=6))
    return images, delays, chatter


def write(folder, images, delays, chatter, storage):
    """Write in the order of time, as a recorder does."""
    moments = [
        (stamp_ns + delay, 'image', (stamp_ns, pixels))
        for (stamp_ns, pixels), delay in zip(images, delays, strict=True)
    ] + [(log_ns, 'text', None) for log_ns in chatter]
    with Writer(folder, version=9, storage_plugin=STORAGES[storage]) as writer:
        camera = writer.add_connection('/camera', IMAGE, typestore=TYPES)
        other = writer.add_connection('/other', 'std_msgs/msg/String', typestore=TYPES)
        for log_ns, kind, content in sorted(moments, key=lambda moment: moment[0]):
            if kind == 'text':
                message = TYPES.types['std_msgs/msg/String']('hello')
                writer.write(other, log_ns, TYPES.serialize_cdr(message, 'std_msgs/msg/String'))
                continue
            stamp_ns, pixels = content
            height, width = pixels.shape[:2]
            message = TYPES.types[IMAGE](
                header(stamp_ns), height, width, 'rgb8', 0, 3 * width, pixels.reshape(-1)
            )
            writer.write(camera, log_ns, TYPES.serialize_cdr(message, IMAGE))


@settings(
    max_examples=60, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(
    recording=recordings(),
    storage=st.sampled_from(sorted(STORAGES)),
    has_index=st.booleans(),
    as_file=st.booleans(),
)
def test_every_image_comes_back_in_order(recording, storage, has_index, as_file):
    images, delays, chatter = recording
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / 'bag'
        write(folder, images, delays, chatter, storage)
        if not has_index:  # as after a recorder that was killed
            (folder / 'metadata.yaml').unlink()
        path = next(folder.glob('bag*')) if as_file else folder
        frames = list(open_source(str(path), '/camera').frames(Sampler(MOST_FPS)))
    assert [frame.stamp_ns for frame in frames] == [stamp_ns for stamp_ns, _ in images]
    assert [frame.index for frame in frames] == list(range(len(images)))
    for frame, (_, pixels) in zip(frames, images, strict=True):
        np.testing.assert_array_equal(frame.image_HWC, pixels)
