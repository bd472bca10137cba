# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model families."""

import re

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from tests.tiny_models import SIZES
from vlo_ros.errors import CheckpointError
from vlo_ros.language import FAMILIES, family_of

LINEAR = ('q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj')


@pytest.mark.parametrize('model_type', FAMILIES)
def test_every_family_is_one_of_transformers_and_lora_finds_its_layers(model_type):
    config = AutoConfig.for_model(model_type, **SIZES, vocab_size=8, pad_token_id=None)
    model = AutoModelForCausalLM.from_config(config)
    targets = family_of(model_type).lora_targets
    found = [name for name, _ in model.named_modules() if re.fullmatch(targets, name)]
    assert len(found) == len(LINEAR) * SIZES['num_hidden_layers'] + 1
    assert {name.rpartition('.')[2] for name in found} == {*LINEAR, 'lm_head'}


def test_an_unknown_family_is_refused_with_those_known():
    with pytest.raises(CheckpointError, match="'gpt2' is not supported; known: llama, mistral"):
        family_of('gpt2')
