# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chunks, cache and attention give what one frame at a time with none of them gives."""

import dataclasses
from pathlib import Path

import pytest
import torch

from tests.live import GOLDEN, Recorder, play, random_scenario
from tests.plain_stream import PlainStream
from tests.random_streams import check_same, log_of, tiny_model
from vlo_ros.adapter import merge_adapter
from vlo_ros.checkpoint import load_base
from vlo_ros.config import StreamConfig, load_config
from vlo_ros.connector import make_connector
from vlo_ros.events import Decision, FrameTokens, Response, Verdict
from vlo_ros.stream import Stream


@pytest.fixture(scope='module')
def plain_llms():
    """The golden language models with transformers' own attention, LoRA merged."""
    llms = {}
    for name, vision_dim in (('live1plus', 48), ('live1', 32)):
        config = load_config(GOLDEN / name / 'model.yaml').model
        llm, _ = load_base(config, torch.device('cpu'), torch.float32, attention='sdpa')
        llm.connector = make_connector(vision_dim, llm.config.hidden_size)
        llms[name] = merge_adapter(llm, Path(config.adapter)).eval()
    return llms


@pytest.mark.parametrize('seed', range(100, 102))
def test_fast_equals_plain(model, plain_llms, seed):
    """Chunks, cache and attention give what one frame at a time with none of them gives."""
    print('seed', seed)
    scenario = random_scenario(seed, model, 14, chunk='1', max_new_tokens=6)
    plain = PlainStream(plain_llms[model.name], model.vlo.template, scenario.config)
    wanted = plain.run(scenario.frames, scenario.queries)
    for chunk in ('1', '2', '5', '8', '32', 'auto'):
        config = dataclasses.replace(scenario.config, chunk=chunk)
        outcomes, _, _ = play(model, dataclasses.replace(scenario, config=config, cancels=set()))
        check_same(log_of(outcomes), wanted, f'chunk {chunk}')


@pytest.mark.parametrize('seed', range(200, 203))
def test_chunks_change_nothing_when_the_window_is_full(model, plain_llms, seed):
    print('seed', seed)
    num_frames, window = (24, 240) if model.name == 'live1plus' else (48, 130)
    scenario = random_scenario(
        seed, model, num_frames, chunk='1', window_tokens=window, max_new_tokens=5
    )
    scenario.cancels.clear()
    plain = PlainStream(plain_llms[model.name], model.vlo.template, scenario.config)
    wanted = plain.run(scenario.frames, scenario.queries)
    first, recorder, stream = play(model, scenario)
    check_same(log_of(first), wanted, 'chunk 1')
    assert stream.num_evictions == plain.evictions.total() > 0
    for chunk in ('2', '8', 'auto'):
        config = dataclasses.replace(scenario.config, chunk=chunk)
        outcomes, other, again = play(model, dataclasses.replace(scenario, config=config))
        check_same(log_of(outcomes), log_of(first), f'chunk {chunk}')
        assert (again.num_evictions, other.ids) == (stream.num_evictions, recorder.ids)


def test_a_chunk_of_silent_frames_is_one_forward():
    """The point of it all: silence is judged at one forward per chunk."""
    tiny = tiny_model('live1+')
    frames = [FrameTokens(index, index, 20 * tiny.silence_D.expand(10, -1)) for index in range(32)]
    for chunk, num_forwards in (('1', 32), ('8', 4), ('12', 3), ('32', 1)):
        stream = Stream(tiny.vlo, StreamConfig(chunk=chunk, silence_threshold=0.0))
        recorder = Recorder(stream, tiny.vlo.template)
        for frame in frames:
            stream.put_frame(frame)
        verdicts = [outcome.verdict for outcome in stream.advance()]
        assert verdicts == [Verdict.SILENT] * 32
        assert recorder.num_forwards == num_forwards


@pytest.mark.parametrize('seed', [301, 303])  # silences of 1 to 9 frames
def test_a_frame_that_speaks_costs_the_chunk_behind_it_and_no_more(model, seed):
    print('seed', seed)
    scenario = random_scenario(seed, model, 32)
    config = StreamConfig(
        chunk='8', max_new_tokens=5, silence_threshold=0.0, resume_silence_threshold=None
    )
    scenario = dataclasses.replace(scenario, queries=[], config=config, cancels=set())
    outcomes, recorder, _ = play(model, scenario)
    decisions = [outcome for outcome in outcomes if isinstance(outcome, Decision)]
    # One forward up to the frame that speaks, or of 8; one for each token that is said.
    num_forwards = sum(len(o.token_ids) for o in outcomes if isinstance(o, Response))
    num_in_chunk = 0
    for decision in decisions:
        num_forwards += num_in_chunk == 0
        num_in_chunk = 0 if decision.speaks else (num_in_chunk + 1) % 8
    assert len(decisions) == 32
    assert recorder.num_forwards == num_forwards
