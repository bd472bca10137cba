# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model families: what differs between base language models, one entry each.

A family names the pieces of text the template is made of; every token id is looked up in the
model's own tokenizer and checked by `Template`, never written as a number.
"""

from __future__ import annotations

from dataclasses import dataclass

from vlo_ros.errors import CheckpointError

# Official implementation (showlab/videollm-online, models/arguments_live.py): a regular
# expression for re.fullmatch on module paths. peft stores this very string in the checkpoint.
LORA_TARGETS = 'model.*(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)|lm_head$'


@dataclass(frozen=True)
class Family:
    """One family of base language models.

    Attributes:
        name: For people.
        interval: Text between two frames of variant live1+; predicting it means silence.
        lora_targets: Which linear layers LoRA adapts.
    """

    name: str
    interval: str = ','
    lora_targets: str = LORA_TARGETS


# Key: `model_type` of the base model's config.json.
FAMILIES = {
    'llama': Family('Llama'),
    'mistral': Family('Mistral'),
    'qwen2': Family('Qwen'),
    'qwen3': Family('Qwen'),
}


def family_of(model_type: str) -> Family:
    """Return the family of a base model.

    Raises:
        CheckpointError: No entry for this `model_type`.
    """
    if model_type not in FAMILIES:
        raise CheckpointError(
            f'language model of type {model_type!r} is not supported; known: '
            f'{", ".join(FAMILIES)} (add an entry to vlo_ros/language.py)'
        )
    return FAMILIES[model_type]
