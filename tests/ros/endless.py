# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sentences that find no end by themselves."""

import contextlib
from unittest.mock import patch

import torch


@contextlib.contextmanager
def endless(node):
    """Have no sentence of the node end by itself as long as the body runs."""
    language = node.model.language
    forward, eos_id = language.forward, node.cameras[0].stream.decoder.template.eos_id

    def without_eos(segments):
        logits = forward(segments)
        with torch.inference_mode():
            for logits_RK in logits:
                logits_RK[:, eos_id] = -torch.inf
        return logits

    with patch.object(language, 'forward', without_eos):
        yield
