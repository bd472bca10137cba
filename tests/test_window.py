# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stream without end: what is kept, what goes, and that nothing grows."""

import dataclasses
import random

import pytest
import torch

from tests.live import Recorder, play, random_scenario, rendered_ids, turns_of
from vlo_ros.config import StreamConfig
from vlo_ros.errors import ConfigError
from vlo_ros.events import Finish, Query, Response
from vlo_ros.kv_cache import KVCache
from vlo_ros.stream import Stream
from vlo_ros.window import Left, Window


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
    num_pinned = stream.decoder.window.num_pinned
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


def test_a_standing_instruction_outlives_every_eviction(model):
    """What the stream was told on its first frame stands in front of it for ever."""
    instruction = 'Narrate what you see.'
    num_frames, window = (60, 280) if model.name == 'live1plus' else (240, 200)
    config = StreamConfig(
        window_tokens=window, max_new_tokens=5, silence_threshold=0.5, instruction=instruction
    )
    stream = Stream(model.vlo, config)
    template = model.vlo.template
    recorder = Recorder(stream, template)
    opening = (
        template.encode(f'{template.bos}{config.system_prompt}\n\n[', first=True)
        + [template.placeholder_id] * template.frame_num_tokens
        + template.encode(f']\nUser: {instruction}\n[')
    )
    for number, frame in enumerate(model.frames([n % 7 for n in range(num_frames)])):
        stream.put_frame(frame)
        list(stream.advance())
        assert number == 0 or recorder.ids[: len(opening)] == opening
    assert stream.num_evictions > 2
    assert stream.decoder.window.num_pinned == len(opening)


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
    assert len(stream.decoder.window._frame_starts) <= 250 // 10


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


def test_a_system_prompt_with_a_special_token_is_refused(live1plus):
    with pytest.raises(ConfigError, match='system_prompt'):
        Stream(live1plus.vlo, StreamConfig(system_prompt='look at <v> closely'))


# -- the window by itself ------------------------------------------------------------------

FRAME = 10


def window_of(*starts, capacity=400, length=None):
    """A window whose frames begin at these positions; a negative one opens a run of frames."""
    cache = KVCache(
        1, 1, capacity, 4, torch.tensor([1.0, 0.1]), torch.float32, torch.device('cpu')
    )
    window = Window(cache, FRAME, max_new_tokens=5)
    for start in starts:
        cache.length = abs(start) + FRAME
        window.add_frame(abs(start), opens_turn=start < 0)
    cache.length = length or cache.length
    return window


def test_the_cut_opens_a_run_of_frames_where_one_is_near():
    # A quarter of the 380 positions behind the pinned 20 must go: the first cut is at 115.
    window = window_of(-20, 60, 116, 130, -190, 260, length=330)
    assert window.evict(12) is Left.FRAMES
    assert window.cache.length == 330 - (190 - 20)
    far = window_of(-20, 60, 116, 130, -240, 260, length=330)
    far.evict(12)
    assert far.cache.length == 330 - (116 - 20)


def test_late_words_cut_less_but_enough():
    window = window_of(-20, 31, 60, length=390)
    assert window.evict(30) is Left.FRAMES
    assert window.cache.length == 390 - (60 - 20)


def test_words_behind_the_newest_frame_go_when_no_cut_frees_enough():
    window = window_of(-20, 31, length=390)
    assert window.evict(200) is Left.NEWEST_FRAME
    assert window.cache.length == 20 + FRAME
    assert window.evict(200) is Left.NEWEST_FRAME
    assert (window.cache.length, window.num_evictions) == (20 + FRAME, 2)


def test_without_a_frame_nothing_is_left():
    window = window_of(length=390)
    assert window.evict(30) is Left.NOTHING
    assert (window.cache.length, window.num_pinned) == (0, 0)


def test_a_standing_instruction_is_pinned_unless_it_fills_half_the_window():
    window = window_of(-20, 31)
    assert window.num_pinned == 20
    for position, pinned in ((190, 190), (210, 190)):
        window.pin_up_to_next_frame()
        window.cache.length = position + FRAME
        window.add_frame(position, opens_turn=True)
        assert window.num_pinned == pinned


def test_frames_taken_back_are_gone():
    window = window_of(-20, 31, 42, 53)
    window.rewind(2)
    assert (window.cache.length, window.num_frames) == (31 + FRAME, 2)
    window.rewind(0)
    assert window.cache.length == 31 + FRAME
    window.evict(12)
    assert window.cache.length == 20 + FRAME
