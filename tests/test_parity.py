# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The official implementation's recorded streams, token for token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.golden_scenarios import (
    VARIANTS,
    bank_tokens,
    load_tiny,
    logits,
    read_inference,
    scenario,
    scenario_names,
)
from vlo_ros.attention import Segment
from vlo_ros.checkpoint import VloModel
from vlo_ros.config import StreamConfig
from vlo_ros.events import NS_PER_S, Decision, FrameTokens, Outcome, Partial, Query, Response
from vlo_ros.language_model import LanguageModel
from vlo_ros.stream import Stream
from vlo_ros.template import ASSISTANT, CLOSE_STREAM, OPEN_STREAM

TOLERANCE = 1e-4


class FeedLog:
    """What one stream was fed, position by position, and the logits read there."""

    def __init__(self, model: VloModel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ids: list[int] = []
        self.logits: dict[int, torch.Tensor] = {}
        self._table = model.language.model.get_input_embeddings().weight
        self._placeholder_id = model.template.placeholder_id
        forward = LanguageModel.forward

        def logged(language: LanguageModel, segments: list[Segment]) -> list[torch.Tensor]:
            starts = [segment.cache.length for segment in segments]
            results = forward(language, segments)
            for segment, start, rows in zip(segments, starts, results, strict=True):
                self.ids[start:] = [self._id_of(vector) for vector in segment.embeddings_TD]
                for row, row_logits in zip(segment.read_rows, rows, strict=True):
                    self.logits[start + row] = row_logits
            return results

        monkeypatch.setattr(LanguageModel, 'forward', logged)

    def _id_of(self, vector_D: torch.Tensor) -> int:
        matches = (self._table == vector_D).all(dim=1).nonzero()
        return int(matches[0]) if len(matches) else self._placeholder_id


def act(stream: Stream, variant: str, one: dict[str, Any]) -> Iterator[Outcome]:
    """Do what the recorded demo loop did; each call ends with its first response."""
    tokens_NFD = bank_tokens(variant)
    fps, now, last = one['fps'], 0.0, -1
    for action in one['actions']:
        if action['do'] == 'query':
            time = now if action['time'] is None else action['time']
            assert stream.put_query(Query(round(time * NS_PER_S), action['text'])) is None
        elif action['do'] == 'video':
            now = action['time']
            index = int(now * fps)
            for i in range(last + 1, index + 1):
                frame = tokens_NFD[one['frame_index'][i]]
                stream.put_frame(FrameTokens(round(i / fps * NS_PER_S), i, frame))
            last = index
        else:
            for outcome in stream.advance():
                if isinstance(outcome, Partial):
                    continue
                yield outcome
                if isinstance(outcome, Response):
                    break


@pytest.mark.parametrize('chunk', ['1', '7', 'auto'])
@pytest.mark.parametrize(('variant', 'name'), scenario_names())
def test_stream_is_the_official_one(
    variant: str, name: str, chunk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, one = load_tiny(variant), scenario(variant, name)
    config = StreamConfig(
        frame_fps=one['fps'],
        silence_threshold=one['threshold'],
        max_new_tokens=one['max_new_tokens'],
        protocol='official',
        chunk=chunk,
    )
    stream = Stream(model, config)
    log = FeedLog(model, monkeypatch)
    outcomes = list(act(stream, variant, one))

    position, num_responses = 0, 0
    for event, outcome in zip(one['events'], outcomes, strict=True):
        assert outcome.stamp_ns / NS_PER_S == pytest.approx(event['time'], abs=1e-6)
        if event['type'] == 'frame':
            assert isinstance(outcome, Decision)
            assert (outcome.index, outcome.verdict.value) == (event['index'], event['decision'])
            assert outcome.p_silence == pytest.approx(event['p_interval'], abs=TOLERANCE)
            assert position == event['context_before']
            assert log.ids[position : position + len(event['fed_ids'])] == event['fed_ids']
            position += len(event['fed_ids']) + model.template.frame_num_tokens
            key = f'{name}/frame_{event["index"]}'
        else:
            assert isinstance(outcome, Response)
            assert list(outcome.token_ids) == event['output_ids']
            assert outcome.text == event['text']
            assert outcome.trigger.value == event['trigger']
            assert (outcome.query.text if outcome.query else None) == event['query']
            assert log.ids[position : position + len(event['prompt_ids'])] == event['prompt_ids']
            position += len(event['prompt_ids'])
            key = f'{name}/response_{num_responses}'
            num_responses += 1
        if key in logits(variant):
            torch.testing.assert_close(
                log.logits[position - 1], logits(variant)[key], rtol=0, atol=TOLERANCE
            )
        if event['type'] == 'response':
            position += len(event['output_ids']) - 1
    assert log.ids[: stream.decoder.cache.length] == one['sequence_ids']


@pytest.mark.parametrize('variant', VARIANTS)
def test_recorded_logits_belong_to_scenarios(variant: str) -> None:
    names = {one['name'] for one in read_inference(variant)['scenarios']}
    assert {key.split('/')[0] for key in logits(variant)} == names


@pytest.mark.parametrize('variant', VARIANTS)
def test_prompt_ids_are_the_official_ones(variant: str) -> None:
    template, expected = load_tiny(variant).template, read_inference(variant)
    opening = template.bos + expected['system_prompt'] + '\n' + OPEN_STREAM
    assert template.encode(opening, first=True) == expected['start_ids']
    assert template.encode(OPEN_STREAM) == expected['stream_prompt_ids']
    assert template.encode(CLOSE_STREAM + ASSISTANT) == expected['stream_generation_ids']
    assert template.silence_id == expected['silence_id']
    assert template.stream_end_id == expected['stream_end_id']
    assert template.eos_id == expected['eos_id']
    assert template.placeholder_id == expected['v_placeholder_id']
    assert template.frame_num_tokens == expected['frame_num_tokens']
