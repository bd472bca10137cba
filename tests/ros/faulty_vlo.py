# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `vlo` with faults that a test brings about from outside.

    VLO_TEST_FAULTS=FOLDER python -m tests.ros.faulty_vlo --ros-args ...

Before every forward of the language model it looks for files in FOLDER:

    no_memory   torch.OutOfMemoryError, once: the file is taken away
    slow        the forward takes as many seconds longer as the file says
    hold        the forward waits until the file is taken away, HOLD_S at most
    no_end      no sentence finds its end
    leak        as many bytes as the file says are never let go of again
"""

import os
import sys
import time
from pathlib import Path

import torch

from vlo_ros.language_model import LanguageModel
from vlo_ros.ros.vlo_node import main

FOLDER = Path(os.environ['VLO_TEST_FAULTS'])
forward = LanguageModel.forward
HOLD_S = 180.0
leaked = []


def faulty_forward(self, segments):
    """Do as the files say, then as ever."""
    for path in FOLDER.iterdir():
        if path.name == 'no_memory':
            path.unlink()
            raise torch.OutOfMemoryError('CUDA out of memory')
        if path.name == 'slow':
            time.sleep(float(path.read_text()))
        elif path.name == 'leak':
            leaked.append(b'x' * int(path.read_text()))
    wait_until_gone(FOLDER / 'hold')
    logits = forward(self, segments)
    if (FOLDER / 'no_end').exists():
        with torch.inference_mode():
            for logits_RK in logits:
                logits_RK[:, self.config.eos_token_id] = -torch.inf
    return logits


def wait_until_gone(path):
    end = time.monotonic() + HOLD_S
    while path.exists():
        if time.monotonic() > end:
            raise TimeoutError(f'{path} was not taken away within {HOLD_S} s')
        time.sleep(0.01)


if __name__ == '__main__':
    LanguageModel.forward = faulty_forward
    sys.exit(main())
