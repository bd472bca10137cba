"""What a live stream feeds, decides and says."""

import dataclasses
import itertools
import random
from pathlib import Path

import pytest
import torch

from tests.live import GOLDEN, Recorder, play, random_scenario, rendered_ids, turns_of
from tests.plain_stream import PlainStream
from vlo_ros.adapter import merge_adapter
from vlo_ros.checkpoint import load_base
from vlo_ros.config import StreamConfig, load_config
from vlo_ros.connector import make_connector
from vlo_ros.errors import ConfigError
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


# -- fast equals plain ---------------------------------------------------------------------


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


def log_of(outcomes):
    """Decisions and responses as PlainStream writes them."""
    return [
        ('frame', outcome.index, outcome.p_silence, outcome.verdict.value)
        if isinstance(outcome, Decision)
        else ('response', outcome.stamp_ns, outcome.token_ids, outcome.finish.value)
        for outcome in outcomes
        if isinstance(outcome, Decision | Response)
    ]


def assert_same(log, other):
    """Same verdicts and tokens, and probabilities within 1e-4."""
    assert len(log) == len(other)
    for one, two in zip(log, other, strict=True):
        if one[0] == 'frame':
            assert (one[1], one[3]) == (two[1], two[3])
            assert one[2] == pytest.approx(two[2], abs=1e-4)
        else:
            assert one == two


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
        assert_same(log_of(outcomes), wanted)


@pytest.mark.parametrize('seed', range(200, 203))
def test_chunks_change_nothing_when_the_window_is_full(model, seed):
    print('seed', seed)
    num_frames, window = (24, 240) if model.name == 'live1plus' else (48, 130)
    scenario = random_scenario(
        seed, model, num_frames, chunk='1', window_tokens=window, max_new_tokens=5
    )
    scenario.cancels.clear()
    first, recorder, stream = play(model, scenario)
    assert stream.num_evictions > 0
    for chunk in ('2', '8', 'auto'):
        config = dataclasses.replace(scenario.config, chunk=chunk)
        outcomes, other, again = play(model, dataclasses.replace(scenario, config=config))
        assert_same(log_of(outcomes), log_of(first))
        assert (again.num_evictions, other.ids) == (stream.num_evictions, recorder.ids)


def test_a_chunk_of_silent_frames_is_one_forward(live1plus):
    """The point of it all: silence is judged at one forward per chunk."""
    scenario = random_scenario(0, live1plus, 32)
    config = StreamConfig(chunk='8', silence_threshold=0.0)
    frames = live1plus.frames([0] * 32)
    scenario = dataclasses.replace(
        scenario, frames=frames, queries=[], config=config, cancels=set()
    )
    outcomes, recorder, _ = play(live1plus, scenario)
    silent = [o for o in outcomes if isinstance(o, Decision) and o.verdict is Verdict.SILENT]
    assert len(silent) >= 24
    assert recorder.num_forwards < 32


# -- a stream without end ------------------------------------------------------------------


@pytest.mark.parametrize('seed', range(300, 303))
def test_what_is_kept_reads_like_a_stream_that_begins_there(model, seed):
    """Eviction leaves the pinned opening and whole frames behind it, token by token."""
    print('seed', seed)
    threshold = 0.95 if seed % 2 else 1.01
    scenario = random_scenario(
        seed, model, 40, window_tokens=280, max_new_tokens=5, silence_threshold=threshold
    )
    outcomes, recorder, stream = play(model, scenario)
    assert stream.num_evictions > 1
    template, history, ids = model.vlo.template, recorder.history, recorder.ids
    wanted = rendered_ids(outcomes, turns_of(outcomes, scenario.config, template), template)
    assert history == wanted[: len(history)]
    num_pinned = stream.decoder._pinned
    assert ids[:num_pinned] == history[:num_pinned]
    opening = template.encode(template.bos + scenario.config.system_prompt + '\n\n[', first=True)
    assert ids[: len(opening)] == opening
    assert ids[num_pinned - 1] != template.placeholder_id  # [ or the newline before it
    kept = ids[num_pinned:]
    assert kept == history[-len(kept) :]
    assert (
        kept[: template.frame_num_tokens] == [template.placeholder_id] * template.frame_num_tokens
    )
    assert history[-len(kept) - 1] != template.placeholder_id or not template.interval_ids


def test_memory_and_window_stay_what_they_were(live1plus):
    """Many frames, queries and cut responses: nothing grows, nothing is raised."""
    scenario = random_scenario(7, live1plus, 60, window_tokens=250, max_new_tokens=30)
    config = dataclasses.replace(scenario.config, silence_threshold=0.725, chunk='auto')
    stream = Stream(live1plus.vlo, config)
    num_bytes, tensors = stream.decoder.cache.num_bytes, stream.decoder.cache.keys_LGCE
    chance = random.Random(7)
    for number, frame in enumerate(live1plus.frames([chance.randrange(8)] * 80)):
        stream.put_frame(frame)
        if chance.random() < 0.3:
            stream.put_query(Query(frame.stamp_ns - chance.randrange(2), 'x ' * (number % 30)))
        if number % 7 == 0:
            for _ in stream.advance(flush=chance.random() < 0.5):
                assert stream.decoder.cache.length <= 250
    assert stream.num_evictions > 3
    assert stream.decoder.cache.num_bytes == num_bytes
    assert stream.decoder.cache.keys_LGCE is tensors
    assert len(stream.decoder._frame_starts) <= 250 // 10


def test_words_alone_never_overflow_the_window(live1plus):
    """Queries with no frame between them leave no place to cut at; the newest frame is kept."""
    config = StreamConfig(window_tokens=250, max_new_tokens=5)
    stream = Stream(live1plus.vlo, config)
    recorder = Recorder(stream, live1plus.vlo.template)
    frames = live1plus.frames([0, 1])
    stream.put_frame(frames[0])
    list(stream.advance())
    question = ' '.join('what?' for _ in range(9))
    for _ in range(12):
        assert stream.put_query(Query(frames[0].stamp_ns + 1, question)) is None
        (response,) = [o for o in stream.advance(flush=True) if isinstance(o, Response)]
        assert response.token_ids
    template = live1plus.vlo.template
    assert stream.num_evictions > 0
    opening = template.encode(template.bos + config.system_prompt + '\n\n[', first=True)
    placeholders = [template.placeholder_id] * 10
    asked = template.encode(f']\nUser: {question}\nAssistant:')
    assert recorder.ids[: len(opening) + 10] == opening + placeholders
    assert recorder.ids[len(opening) + 10 :][: len(asked)] == asked
    stream.put_frame(frames[1])
    list(stream.advance())
    assert recorder.ids[-11:] == template.interval_ids + placeholders


def test_queries_before_any_frame_begin_anew_when_the_window_is_full(live1plus):
    stream = Stream(live1plus.vlo, StreamConfig(window_tokens=250, max_new_tokens=5))
    recorder = Recorder(stream, live1plus.vlo.template)
    template = live1plus.vlo.template
    question = ' '.join('what?' for _ in range(9))
    for _ in range(12):
        stream.put_query(Query(0, question))
        list(stream.advance(flush=True))
    assert stream.num_evictions > 0
    opening = template.encode(
        f'{template.bos}{StreamConfig().system_prompt}\n\nUser: {question}\nAssistant:', first=True
    )
    assert recorder.ids[: len(opening)] == opening


def test_a_query_at_a_frame_stamp_finds_room_too(live1plus):
    """A response up to the last position, then a frame and a query of one stamp."""
    config = StreamConfig(window_tokens=250, max_new_tokens=4096, silence_threshold=1.01)
    stream = Stream(live1plus.vlo, config)
    stream.decoder.template = template = _NeverEnds(live1plus.vlo.template)
    for frame in live1plus.frames([0, 1, 2]):
        stream.put_query(Query(frame.stamp_ns, 'what?'))
        stream.put_frame(frame)
        response = [o for o in stream.advance() if isinstance(o, Response)][-1]
        assert response.finish is Finish.LENGTH
        assert stream.decoder.cache.length == 250
    assert template.eos_id == -1


class _NeverEnds:
    """A template whose end of turn is never generated."""

    eos_id = -1

    def __init__(self, template):
        self._template = template

    def __getattr__(self, name):
        return getattr(self._template, name)

    def encode(self, *args, **options):
        return self._template.encode(*args, **options)


def test_a_window_too_small_is_refused_and_changes_nothing(live1plus):
    stream = Stream(live1plus.vlo, StreamConfig(window_tokens=250, max_new_tokens=5))
    stream.put_frame(live1plus.frames([0])[0])
    list(stream.advance())
    length = stream.decoder.cache.length
    stream.configure(system_prompt='word ' * 300)
    with pytest.raises(ConfigError, match=r'window_tokens: 250 is too small.* need \d+$'):
        stream.reset()
    assert stream.decoder.cache.length == length
    stream.decoder.config = stream.config
    with pytest.raises(ConfigError):
        stream.decoder.reset()
    assert stream.decoder.cache.length == length
    with pytest.raises(ConfigError, match='window_tokens: 100 is too small'):
        Stream(live1plus.vlo, StreamConfig(window_tokens=100))
    with pytest.raises(ConfigError, match='window_tokens: 9000 is more than the 8192'):
        Stream(live1plus.vlo, StreamConfig(window_tokens=9000))


def test_a_system_prompt_with_a_special_token_is_refused(live1plus):
    with pytest.raises(ConfigError, match='system_prompt'):
        Stream(live1plus.vlo, StreamConfig(system_prompt='look at <v> closely'))


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
