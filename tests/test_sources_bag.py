# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags: topics, stamps, storages, and what is left of damaged ones."""

from __future__ import annotations

import logging
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.recordings import (
    START_NS,
    STORAGES,
    TYPES,
    cut,
    frames_before_break,
    png_image,
    raw_image,
    stamps,
    storage_file,
    write_bag,
)
from vlo_ros.errors import SourceError
from vlo_ros.events import Frame
from vlo_ros.sampling import Sampler
from vlo_ros.sources import open_source

pytestmark = pytest.mark.parametrize('storage', list(STORAGES))


def read(path: Path, fps: float = 10.0, topic: str | None = None) -> list[Frame]:
    return list(open_source(str(path), topic).frames(Sampler(fps)))


def values(frames: list[Frame]) -> list[int]:
    return [int(frame.image_HWC[0, 0, 0]) for frame in frames]


@pytest.mark.parametrize('make', [raw_image, png_image])
def test_folder_and_file_give_the_same_frames(tmp_path: Path, storage: str, make: Any) -> None:
    bag = write_bag(tmp_path / 'bag', storage, stamps(20), make=make, extra=True)
    frames = read(bag)
    assert values(frames) == list(range(20))
    assert [frame.stamp_ns for frame in frames] == stamps(20)
    assert [frame.index for frame in frames] == list(range(20))
    again = read(storage_file(bag))
    assert values(again) == values(frames)
    assert open_source(str(bag)).duration_s == pytest.approx(1.9, abs=1e-6)


def test_takes_frames_by_their_header_stamps(tmp_path: Path, storage: str) -> None:
    # Recorded every 0.1 s; the camera says every 0.05 s.
    bag = write_bag(tmp_path / 'bag', storage, stamps(20, fps=20))
    frames = read(bag, fps=5)
    assert values(frames) == [0, 4, 8, 12, 16]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]


def test_two_image_topics_must_be_chosen_from(tmp_path: Path, storage: str) -> None:
    bag = write_bag(tmp_path / 'bag', storage, stamps(3), topics=('/left', '/right'), extra=True)
    with pytest.raises(SourceError, match=r'choose one with --topic; image topics: /left, /right'):
        read(bag)
    assert values(read(bag, topic='/right')) == [0, 1, 2]
    assert values(read(bag, topic='left')) == [0, 1, 2]


def test_wrong_topic_lists_the_right_ones(tmp_path: Path, storage: str) -> None:
    bag = write_bag(tmp_path / 'bag', storage, stamps(3), extra=True)
    with pytest.raises(SourceError, match=r'no topic /lidar; image topics: /camera'):
        read(bag, topic='/lidar')
    with pytest.raises(SourceError, match=r'/chatter is a std_msgs/msg/String, no image'):
        read(bag, topic='/chatter')


def test_bag_without_images_says_what_it_holds(tmp_path: Path, storage: str) -> None:
    bag = write_bag(tmp_path / 'bag', storage, [], topics=(), extra=True)
    with pytest.raises(SourceError, match=r'no image topic is in it, only /chatter'):
        read(bag)


def test_topic_without_messages(tmp_path: Path, storage: str) -> None:
    bag = write_bag(tmp_path / 'bag', storage, [])
    with pytest.raises(SourceError, match=r'/camera holds no image'):
        read(bag)


def test_a_looping_camera_begins_anew(tmp_path: Path, storage: str) -> None:
    bag = write_bag(tmp_path / 'bag', storage, stamps(15) + stamps(15))
    frames = read(bag, fps=5)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4, 5, 6, 7] * 2
    assert frames[8].stamp_ns == START_NS


def test_late_frames_are_left_out_and_counted(
    tmp_path: Path, storage: str, caplog: pytest.LogCaptureFixture
) -> None:
    in_order = stamps(6)
    bag = write_bag(tmp_path / 'bag', storage, [*in_order[:4], in_order[2], *in_order[4:]])
    with caplog.at_level(logging.WARNING):
        assert values(read(bag)) == [0, 1, 2, 3, 5, 6]
    assert '1 images came late' in caplog.text


def test_without_header_stamps_the_time_of_recording_counts(
    tmp_path: Path, storage: str, caplog: pytest.LogCaptureFixture
) -> None:
    bag = write_bag(tmp_path / 'bag', storage, [0] * 5)
    with caplog.at_level(logging.WARNING):
        frames = read(bag)
    assert [frame.stamp_ns for frame in frames] == stamps(5)
    assert caplog.text.count('header stamps of /camera are 0') == 1


def test_a_damaged_image_is_left_out_and_said_once(
    tmp_path: Path, storage: str, caplog: pytest.LogCaptureFixture
) -> None:
    def half_broken(stamp_ns: int, value: int) -> Any:
        image = png_image(stamp_ns, value)
        if value in (2, 4):
            image = TYPES.types[image.__msgtype__](image.header, 'png', image.data[:40])
        return image

    bag = write_bag(tmp_path / 'bag', storage, stamps(6), make=half_broken)
    with caplog.at_level(logging.WARNING):
        frames = read(bag)
    assert values(frames) == [0, 1, 3, 5]
    assert [frame.index for frame in frames] == [0, 1, 3, 5]
    assert caplog.text.count('an image is left out') == 1
    assert '2 images were left out in all' in caplog.text


@pytest.mark.parametrize('part', ['folder', 'file'])
@pytest.mark.parametrize('share', [0.95, 0.5])
def test_what_lies_before_a_cut_is_read(
    tmp_path: Path, storage: str, share: float, part: str
) -> None:
    bag = write_bag(tmp_path / 'bag', storage, stamps(100))
    cut(storage_file(bag), share)
    frames, said = frames_before_break(bag if part == 'folder' else storage_file(bag))
    assert 100 * share - 20 <= len(frames) < 100
    assert values(frames) == list(range(len(frames)))
    assert f'damaged after {len(frames)} images of /camera' in said


def test_a_killed_recorder_leaves_no_metadata(tmp_path: Path, storage: str) -> None:
    bag = write_bag(tmp_path / 'bag', storage, stamps(10))
    (bag / 'metadata.yaml').unlink()
    assert values(read(bag)) == list(range(10))


def test_a_bag_in_several_files_is_read_in_their_order(tmp_path: Path, storage: str) -> None:
    first = write_bag(tmp_path / 'a', storage, stamps(3))
    second = write_bag(tmp_path / 'b', storage, stamps(3, start_ns=START_NS + 10**9))
    whole = tmp_path / 'whole'
    whole.mkdir()
    suffix = storage_file(first).suffix
    shutil.copy(storage_file(first), whole / f'bag_2{suffix}')
    shutil.copy(storage_file(second), whole / f'bag_10{suffix}')
    assert values(read(whole)) == [0, 1, 2, 0, 1, 2]
    # The last file of a recording is the one that breaks.
    cut(whole / f'bag_10{suffix}', 0.6)
    frames, _ = frames_before_break(whole)
    assert values(frames)[:3] == [0, 1, 2]


@pytest.mark.parametrize('content', [b'', b'nothing of the kind', b'\x89MCAP0\r\n'])
def test_what_is_no_bag_is_refused(tmp_path: Path, storage: str, content: bytes) -> None:
    path = tmp_path / f'bag.{"mcap" if storage == "mcap" else "db3"}'
    path.write_bytes(content)
    with pytest.raises(SourceError, match='not a bag that can be read') as caught:
        read(path)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('seed', range(8))
def test_flipped_bytes_never_end_in_a_crash(tmp_path: Path, storage: str, seed: int) -> None:
    print(f'seed {seed}')
    bag = write_bag(tmp_path / 'bag', storage, stamps(40), make=png_image)
    path = storage_file(bag)
    data = bytearray(path.read_bytes())
    draw = random.Random(seed)
    for _ in range(6):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)
    frames: list[Frame] = []
    try:
        for frame in open_source(str(bag)).frames(Sampler(10)):
            frames.append(frame)
    except SourceError as error:
        assert '\n' not in str(error)
    assert len(frames) <= 40
