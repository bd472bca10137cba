# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a live stream feeds, decides and says."""

import itertools
import random

import pytest
import torch

from tests.live import Recorder, play, random_scenario, rendered_ids, turns_of
from vlo_ros.config import StreamConfig
from vlo_ros.events import Decision, Finish, Query, Response, Trigger, Verdict
from vlo_ros.stream import Stream


@pytest.mark.parametrize('seed', range(8))
def test_train_equals_live(model, seed):
    """What a stream feeds is what training feeds for the conversation that happened."""
    print('seed', seed)
    template = model.vlo.template
    scenario = random_scenario(seed, model, 20)
    outcomes, recorder, _ = play(model, scenario, at_once=random.Random(seed))
    turns = turns_of(outcomes, scenario.config, template)
    wanted = rendered_ids(outcomes, turns, template)
    assert recorder.history == recorder.ids  # nothing was evicted
    assert recorder.ids == wanted[: len(recorder.ids)]
    assert len(wanted) - len(recorder.ids) <= 2 or turns[-1].role == 'user'
    frames = [outcome for outcome in outcomes if isinstance(outcome, Decision)]
    assert [frame.index for frame in frames] == list(range(len(scenario.frames)))


# -- reset, cancel, failure ----------------------------------------------------------------


@pytest.mark.parametrize('seed', range(400, 402))
def test_a_reset_stream_equals_a_fresh_one(model, seed):
    print('seed', seed)
    instruction = '' if seed % 2 else 'Narrate what you see.'
    scenario = random_scenario(seed, model, 16, chunk='auto', instruction=instruction)
    fresh, _, _ = play(model, scenario)
    stream = Stream(model.vlo, scenario.config)
    for frame in model.frames([5, 9, 40, 3, 7]):
        stream.put_frame(frame)
    stream.put_query(Query(1, 'what?'))
    next(stream.advance())  # left in the middle
    stream.put_query(Query(10**15, 'never due'))
    stream.reset()
    assert (stream.backlog_frames, stream.backlog_queries, stream.num_judged) == (0, 0, 0)
    again = []
    for query in scenario.queries:
        stream.put_query(query)
    for frame in scenario.frames:
        stream.put_frame(frame)
    for number, outcome in enumerate(stream.advance(flush=True), 1):
        if number in scenario.cancels:
            stream.cancel()
        again.append(outcome)
    assert again == fresh


def speaking(model, **changes):
    """A stream that speaks after each of four frames, and its recorder."""
    config = StreamConfig(silence_threshold=1.01, chunk='1', **changes)
    stream = Stream(model.vlo, config)
    recorder = Recorder(stream, model.vlo.template)
    for frame in model.frames([0, 1, 2, 3]):
        stream.put_frame(frame)
    return stream, recorder


def check_template(model, stream, recorder, outcomes):
    """What was fed is the conversation that happened."""
    template = model.vlo.template
    wanted = rendered_ids(outcomes, turns_of(outcomes, stream.config, template), template)
    assert recorder.num_forwards
    assert recorder.ids == wanted[: len(recorder.ids)]


@pytest.mark.parametrize('num_tokens', [0, 1, 3])
def test_cancelled_between_two_tokens(model, num_tokens):
    stream, recorder = speaking(model)
    outcomes = []
    for outcome in stream.advance():
        outcomes.append(outcome)
        is_first = sum(isinstance(o, Response) for o in outcomes) == 0
        if is_first and sum(not isinstance(o, Decision) for o in outcomes) == num_tokens:
            stream.cancel()
    responses = [o for o in outcomes if isinstance(o, Response)]
    assert len(responses[0].token_ids) == num_tokens
    assert [r.finish for r in responses[:2]] == [Finish.CANCELLED, Finish.EOS]
    assert all(response.trigger is Trigger.PROACTIVE for response in responses)
    check_template(model, stream, recorder, outcomes)


def test_who_stops_listening_leaves_a_sound_stream(model):
    """Outcomes that nobody takes are lost; the stream goes on as training would have it."""
    for stop_at in range(1, 9):
        stream, recorder = speaking(model)
        outcomes = []
        for outcome in stream.advance():
            outcomes.append(outcome)
            if len(outcomes) == stop_at:
                break
        said = list(recorder.ids)
        rest = list(stream.advance())
        judged = [o.index for o in outcomes + rest if isinstance(o, Decision)]
        assert judged == [0, 1, 2, 3]
        assert recorder.ids[: len(said)] == said
        template = model.vlo.template
        spoken = len(said) and said[-1] != template.placeholder_id
        eos = recorder.ids[len(said) :].index(template.eos_id)
        assert eos <= 1 or not spoken


def test_a_chunk_left_in_the_middle_holds_no_frame_that_was_not_judged(live1plus):
    stream = Stream(live1plus.vlo, StreamConfig(silence_threshold=1.01, chunk='8'))
    for frame in live1plus.frames([0, 1, 2, 3]):
        stream.put_frame(frame)
    recorder = Recorder(stream, live1plus.vlo.template)
    outcomes = stream.advance()
    assert next(outcomes).verdict is Verdict.RESPOND
    outcomes.close()
    assert stream.backlog_frames == 3
    assert recorder.ids.count(live1plus.vlo.template.placeholder_id) == 10
    assert [o.index for o in stream.advance() if isinstance(o, Decision)] == [1, 2, 3]


@pytest.mark.parametrize('fails_at', range(1, 8))
def test_a_forward_that_fails_leaves_the_stream_as_it_was(model, fails_at, monkeypatch):
    stream, recorder = speaking(model)
    attend = model.vlo.language.model.model.layers[-1].forward
    calls = 0

    def failing(*args, **options):
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise torch.OutOfMemoryError('out of memory')
        return attend(*args, **options)

    monkeypatch.setattr(model.vlo.language.model.model.layers[-1], 'forward', failing)
    outcomes = []
    with pytest.raises(torch.OutOfMemoryError):
        for outcome in stream.advance():
            outcomes.append(outcome)
    length = stream.decoder.cache.length
    assert length == len(recorder.ids)
    for outcome in stream.advance():
        outcomes.append(outcome)
    # Every run of frames that was opened is closed before words, every response ends.
    text = model.vlo.template.tokenizer.decode(recorder.ids)
    assert ']\n[' not in text
    assert text.count('Assistant:') - text.count(model.vlo.template.eos) in (0, 1)
    # The frames of a forward that failed are tried again.
    assert [o.index for o in outcomes if isinstance(o, Decision)] == [0, 1, 2, 3]


# -- what responses tell -------------------------------------------------------------------


def test_a_response_carries_its_stamps_and_reason(live1plus):
    frames = live1plus.frames([0, 1, 2, 3])
    config = StreamConfig(silence_threshold=0.0, chunk='1', max_new_tokens=3)
    stream = Stream(live1plus.vlo, config)
    for frame in frames[:3]:
        stream.put_frame(frame)
    query = Query(frames[1].stamp_ns + 5, 'what?', 'me')
    stream.put_query(query)
    responses = [o for o in stream.advance() if isinstance(o, Response) and o.query]
    (response,) = responses
    assert response.query is query
    assert response.stamp_ns == frames[1].stamp_ns + 5
    assert response.frame_stamp_ns == frames[1].stamp_ns
    assert response.trigger is Trigger.QUERY
    stream.configure(silence_threshold=1.01)
    stream.put_frame(frames[3])
    *_, spoken = stream.advance()
    assert spoken.stamp_ns == spoken.frame_stamp_ns == frames[3].stamp_ns
    assert 0 <= spoken.p_silence <= 1
    assert len(spoken.token_ids) <= 3


def test_nothing_but_eos_is_an_empty_response(live1plus, monkeypatch):
    """Training writes `Assistant: ` and eos where a response has no words."""
    stream, recorder = speaking(live1plus)
    eos_id = live1plus.vlo.template.eos_id
    monkeypatch.setattr(stream.decoder, '_next_token', _says(stream.decoder, eos_id))
    outcomes = list(stream.advance())
    assert [o.token_ids for o in outcomes if isinstance(o, Response)] == [(eos_id,)] * 4
    check_template(live1plus, stream, recorder, outcomes)


def _says(decoder, token_id):
    feed = decoder._next_token

    def says(ids):
        yield from feed(ids)
        return token_id

    return says


def test_the_frame_after_a_response_has_a_threshold_of_its_own(live1plus):
    frames = live1plus.frames([0] * 12)
    for resume, chunk in ((0.0, '1'), (0.0, '8')):
        config = StreamConfig(
            silence_threshold=1.01, resume_silence_threshold=resume, chunk=chunk, max_new_tokens=3
        )
        stream = Stream(live1plus.vlo, config)
        for frame in frames:
            stream.put_frame(frame)
        verdicts = [o.verdict for o in stream.advance() if isinstance(o, Decision)]
        assert verdicts[0] is Verdict.RESPOND
        for before, verdict in itertools.pairwise(verdicts):
            if before is Verdict.SILENT:
                assert verdict is Verdict.RESPOND
        assert Verdict.SILENT in verdicts


@pytest.mark.parametrize('chunk', ['1', '8'])
def test_a_decision_tells_the_threshold_that_held_and_what_follows(live1plus, chunk):
    config = StreamConfig(
        silence_threshold=0.9, resume_silence_threshold=0.1, chunk=chunk, instruction='Tell.'
    )
    stream = Stream(live1plus.vlo, config)
    frames = live1plus.frames([0] * 12)
    for frame in frames:
        stream.put_frame(frame)
    stream.put_query(Query(frames[6].stamp_ns, 'what?'))
    spoke, decision = False, None
    for outcome in stream.advance():
        if isinstance(outcome, Decision):
            assert outcome.threshold == (0.1 if spoke else 0.9)
            spoke, decision = False, outcome
        elif isinstance(outcome, Response):
            assert decision.speaks
            assert decision.query is outcome.query
            spoke = bool(outcome.token_ids)
        if isinstance(outcome, Decision) and outcome.index == 0:
            assert (outcome.verdict, outcome.speaks) == (Verdict.QUERY, False)
    assert spoke or decision.index == 11


def test_a_response_that_never_began_leaves_the_threshold_as_it_was(live1plus):
    stream, _ = speaking(live1plus, resume_silence_threshold=0.1)
    outcomes = stream.advance()
    assert next(outcomes).threshold == 1.01
    stream.cancel()
    assert next(outcomes).token_ids == ()
    assert next(outcomes).threshold == 1.01
