# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings to encode, and the tiny tower that encodes them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.recordings import cut, stamps, write_bag, write_video
from training.preprocess.jobs import Settings, tower_fingerprint
from vlo_ros.config import load_config

MODEL_YAML = Path(__file__).parents[2] / 'golden' / 'live1plus' / 'model.yaml'


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings that write into tmp_path/features."""
    model = load_config(MODEL_YAML, device='cpu').model

    def make(**changes: object) -> Settings:
        output = tmp_path / 'features'
        output.mkdir(exist_ok=True)
        return Settings(model, output, tower_fingerprint(model), **changes)

    return make


@pytest.fixture(scope='session')
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of videos and bags: whole, with a hole, with stamps that go back, damaged."""
    folder = tmp_path_factory.mktemp('recordings')
    write_video(folder / 'whole.mp4', 40)
    write_video(folder / 'long.mp4', 60)
    cut(write_video(folder / 'cut.avi', 60), 0.6)
    (folder / 'nonsense.mp4').write_bytes(b'not a video')
    (folder / 'notes.txt').write_text('left alone')
    with_hole = stamps(50)
    del with_hole[10:30]
    write_bag(folder / 'hole', 'sqlite3', with_hole)
    (folder / 'deeper').mkdir()
    write_bag(folder / 'deeper' / 'twice', 'mcap', stamps(40) + stamps(20))
    return folder
