# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
from training.datasets import build


def test_every_noise_frame_is_its_own_noise(tmp_path):
    """Corrected: officially one vector stands for all tokens of all ten frames."""
    *_, noise, black = build('robustness', tmp_path)
    assert noise.frames['shape'] == [10, None, 1024]
    assert black.frames['shape'] == [1, None, 1024]
    assert noise.conversation[0]['num_frames'] == 10
