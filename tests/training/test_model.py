# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ids, labels, losses and gradients are those of the official implementation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from bench.plain_head import PlainHead
from tests.training.golden import CASES, VARIANTS, Golden, load_golden
from training.collate import collate, pack
from training.cpu_attention import CPU_ATTENTION
from vlo_ros.page import IGNORE


@pytest.fixture(params=list(VARIANTS))
def golden(request: pytest.FixtureRequest) -> Golden:
    return load_golden(request.param)


@pytest.mark.parametrize(('variant', 'name'), CASES)
def test_conversation_is_the_official_one(
    variant: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = load_golden(variant)
    expected = golden.conversation(name)
    example = golden.example(expected)
    assert example.rendered.text == expected['text']
    assert example.rendered.input_ids == expected['input_ids']
    assert example.rendered.labels == expected['labels']
    assert sorted(map(list, example.rendered.learn_ranges)) == sorted(expected['learn_ranges'])
    batch = collate([example], golden.template.eos_id)
    with torch.no_grad():
        loss = float(golden.model(**batch)['loss'])
        monkeypatch.setattr(golden.model, 'stream_loss_weight', 3.0)
        loss_3 = float(golden.model(**batch)['loss'])
    assert loss == pytest.approx(expected['loss'], abs=1e-4)
    assert loss_3 == pytest.approx(expected['loss_stream_weight_3'], abs=1e-4)


def test_padded_batch(golden: Golden) -> None:
    expected = golden.data['padded_batch']
    examples = [golden.example(golden.conversation(name)) for name in expected['members']]
    batch = collate(examples, golden.template.eos_id)
    for key in ('input_ids', 'attention_mask', 'labels'):
        assert batch[key].tolist() == expected[key]
    with torch.no_grad():
        loss = float(golden.model(**batch)['loss'])
        right = float(golden.model(**collate(examples, 0, padding='right'))['loss'])
    assert loss == pytest.approx(expected['loss'], abs=1e-4)
    assert right == pytest.approx(expected['loss'], abs=1e-4)


def test_gradients(golden: Golden) -> None:
    expected = golden.data['gradients']
    golden.model.zero_grad()
    batch = collate(
        [golden.example(golden.conversation(expected['conversation']))], golden.template.eos_id
    )
    loss = golden.model(**batch)['loss']
    loss.backward()
    assert float(loss.detach()) == pytest.approx(expected['loss'], abs=1e-4)
    norms = {
        name.removeprefix('language.').replace('.default.', '.'): float(parameter.grad.norm())
        for name, parameter in golden.model.named_parameters()
        if parameter.grad is not None
    }
    assert norms == pytest.approx(expected['grad_norms'], rel=1e-3, abs=1e-6)


def test_gathered_head_equals_plain_head(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only labelled positions through the head: the same loss and gradients."""
    members = golden.data['padded_batch']['members']
    batch = collate(
        [golden.example(golden.conversation(name)) for name in members], golden.template.eos_id
    )
    monkeypatch.setattr(golden.model, 'stream_loss_weight', 2.0)
    plain = PlainHead(golden.model.language, golden.model.placeholder_id, 2.0)
    losses = [model(**batch)['loss'] for model in (golden.model, plain)]
    found, expected = (gradients(golden, loss) for loss in losses)
    values = [float(loss.detach()) for loss in losses]
    assert values[0] == pytest.approx(values[1], abs=1e-5)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-5, rtol=1e-4)


@pytest.fixture(params=['sdpa', 'eager', CPU_ATTENTION])
def attending(request: pytest.FixtureRequest, golden: Golden) -> Iterator[Golden]:
    """The model with each attention that packing must keep apart."""
    golden.model.causal.set_attn_implementation(request.param)
    yield golden
    golden.model.causal.set_attn_implementation('sdpa')


def test_packed_conversations_do_not_see_each_other(attending: Golden) -> None:
    golden = attending
    examples = [golden.example(one) for one in golden.data['conversations'][:4]]
    with torch.no_grad():
        packed = pack(examples)
        hidden_1TD = golden.model.hidden(
            packed['input_ids'], packed['features'], position_ids_BT=packed['position_ids']
        )
        start = 0
        for example in examples:
            alone = collate([example], 0)
            expected_TD = golden.model.hidden(alone['input_ids'], alone['features'])[0]
            found_TD = hidden_1TD[0, start : start + example.num_tokens]
            torch.testing.assert_close(found_TD, expected_TD, atol=1e-4, rtol=1e-4)
            start += example.num_tokens
        padded = golden.model(**collate(examples, 0))['loss']
        assert float(golden.model(**packed)['loss']) == pytest.approx(float(padded), abs=1e-5)


def gradients(golden: Golden, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    golden.model.zero_grad()
    loss.backward()
    named = golden.model.named_parameters()
    return {name: one.grad.clone() for name, one in named if one.grad is not None}


def test_packed_conversations_teach_what_each_alone_teaches(attending: Golden) -> None:
    golden = attending
    examples = [golden.example(one) for one in golden.data['conversations'][:4]]
    found = gradients(golden, golden.model(**pack(examples))['loss'])
    batches = [collate([example], 0) for example in examples]
    learned = [int((batch['labels'] != IGNORE).sum()) for batch in batches]
    alone = sum(
        golden.model(**batch)['loss'] * number
        for batch, number in zip(batches, learned, strict=True)
    ) / sum(learned)
    expected = gradients(golden, alone)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-5, rtol=1e-4)


def test_loss_weights_scale_positions(golden: Golden) -> None:
    example = golden.example(golden.data['conversations'][0])
    batch = collate([example], 0)
    weighted = {**batch, 'loss_weights': torch.full(batch['labels'].shape, 2.5)}
    with torch.no_grad():
        once, scaled = golden.model(**batch)['loss'], golden.model(**weighted)['loss']
    assert float(scaled) == pytest.approx(2.5 * float(once), rel=1e-5)


def test_generation(golden: Golden) -> None:
    """Offline answers, greedily, over the ids that the template renders."""
    for expected in golden.data['generation']:
        turns = golden.example(expected | {'learn': False})  # the prompt is added below
        assert expected['text'].startswith(turns.rendered.text[:-1])
        ids = list(expected['input_ids'])
        rows = torch.tensor(expected['frame_index'])
        output: list[int] = []
        while len(output) < 40 and (not output or output[-1] != golden.template.eos_id):
            with torch.no_grad():
                hidden = golden.model.hidden(torch.tensor([ids + output]), golden.features[rows])
                output.append(int(golden.model.head(hidden[0, -1]).argmax()))
        assert output == expected['output_ids']
        assert golden.template.decode(output) == expected['output_text']


def test_wrong_number_of_features_is_one_clear_error(golden: Golden) -> None:
    example = golden.example(golden.data['conversations'][0])
    batch = collate([example], 0)
    batch['features'] = batch['features'][1:]
    with pytest.raises(ValueError, match='frames of'):
        golden.model(**batch)
