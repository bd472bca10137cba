# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag with images and notes in it, and its annotated copy."""

from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from vlo_ros.annotate import judge, write_annotated
from vlo_ros.sources.bag import BagRecording

GOLDEN = Path(__file__).parent / 'golden' / 'live1plus'
S = 1_000_000_000
START = 1_700_000_000 * S
TYPES = get_typestore(Stores.LATEST)
PLUGINS = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}


def time(stamp_ns):
    sec, nanosec = divmod(stamp_ns, S)
    return TYPES.types['builtin_interfaces/msg/Time'](sec=sec, nanosec=nanosec)


def write_bag(path, storage='mcap', zero_stamps=False):
    """40 images at 4 Hz, recorded 10 ms after capture, with text in between."""
    frames = np.load(GOLDEN / 'frames.npz')['frames'][::3].transpose(0, 2, 3, 1)[:40]
    image_type, text_type = 'sensor_msgs/msg/Image', 'std_msgs/msg/String'
    with Writer(path, version=9, storage_plugin=PLUGINS[storage]) as writer:
        images = writer.add_connection('/camera/image_raw', image_type, typestore=TYPES)
        texts = writer.add_connection('/notes', text_type, typestore=TYPES)
        for index, image in enumerate(frames):
            stamp = START + index * S // 4
            header = TYPES.types['std_msgs/msg/Header'](
                stamp=time(0 if zero_stamps else stamp), frame_id='eye'
            )
            message = TYPES.types[image_type](
                header=header,
                height=image.shape[0],
                width=image.shape[1],
                encoding='rgb8',
                is_bigendian=0,
                step=image.shape[1] * 3,
                data=np.ascontiguousarray(image).reshape(-1),
            )
            log_ns = stamp + S // 100
            writer.write(images, log_ns, TYPES.serialize_cdr(message, image_type))
            note = TYPES.types[text_type](data=f'note {index}')
            writer.write(texts, log_ns + 1, TYPES.serialize_cdr(note, text_type))
    return path


def annotated(bag, output, setup, queries=(), **options):
    recording = BagRecording(bag, None)
    judgements = judge(recording, list(queries), *setup)
    threshold = setup[1].silence_threshold
    counts = write_annotated(bag, recording.topic, output, judgements, threshold, **options)
    return judgements, counts
