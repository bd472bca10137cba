# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a person sees, and the score against the rendered world."""

import io
import math

import pytest
from rich.console import Console

from vlo_ros import msg
from vlo_ros.rendered_world import Episode
from vlo_ros.ros.convert import to_time
from vlo_ros.ros.transcript import Transcript, status_line
from vlo_ros.ros.truth import RenderedTruth

S = 1_000_000_000
START = 500 * S


def decision(seconds, p_silence=0.9, verdict=msg.Decision.VERDICT_SILENT):
    message = msg.Decision(verdict=verdict, silence_probability=p_silence)
    message.header.stamp = to_time(START + round(seconds * S))
    message.latency.nanosec = 20_000_000
    return message


def response(seconds, text='You look around.', **fields):
    message = msg.Response(text=text, state=msg.Response.STATE_FINISHED, **fields)
    stamp_ns = START + round(seconds * S)
    message.header.stamp = to_time(stamp_ns)
    message.first_token_stamp = to_time(stamp_ns + S // 10)
    message.finished_stamp = to_time(stamp_ns + 2 * S)
    return message


@pytest.fixture
def screen():
    """A transcript into a narrow file, and a function that returns its lines so far."""
    output = io.StringIO()
    transcript = Transcript(Console(file=output, width=40))
    return transcript, lambda: output.getvalue().splitlines()


def test_silence_is_summed_up_and_speech_is_told(screen):
    transcript, lines = screen
    for index in range(4):
        transcript.on_decision(decision(index / 2, 0.99 - index / 100))
    transcript.on_decision(decision(2, 0.1, msg.Decision.VERDICT_RESPOND))
    transcript.on_response(response(2))
    assert lines() == [
        '    0.0 s to 1.5 s  silent, 4 frames, p >= 0.96, decided within 20 ms',
        '    2.0 s  You look around.  100 ms to the first word, 2.0 s in all',
    ]


def test_questions_answers_and_refusals(screen):
    transcript, lines = screen
    transcript.on_decision(decision(0))
    transcript.on_question('a', 'Where am I?')
    transcript.on_response(response(0, 'At the sink.', query_id='a'))
    transcript.on_question('b', 'x' * 10)
    refusal = response(0, '', query_id='b', reason='64 queries are waiting already')
    transcript.on_response(refusal)
    told = '\n'.join(lines())
    assert 'you:  Where am I?' in told
    assert 'At the sink.  answered in 0 ms' in told
    assert 'no answer: 64 queries are waiting already' in told


def test_what_the_model_says_is_never_markup(screen):
    transcript, lines = screen
    transcript.on_response(response(0, '[red]alarm[/] [/] ]\n'))
    assert '[red]alarm[/] [/] ]' in lines()[0]


def test_words_that_come_behind_the_end_do_not_grow_again(screen):
    transcript, _ = screen
    transcript.on_partial(response(0, 'You', sequence=0))
    assert 'You' in transcript._growing
    transcript.on_response(response(0, 'You look.', sequence=0))
    transcript.on_partial(response(0, 'You look.', sequence=0))
    assert transcript._growing == ''


def test_status_line_leaves_out_what_is_not_known():
    status = msg.StreamStatus(state=msg.StreamStatus.STATE_STALE, last_error='no image for 2.0 s')
    status.decision_latency_p95 = math.nan
    line = status_line(status)
    assert 'no images |' in line and 'latency p95 -' in line
    assert line.endswith('no image for 2.0 s')


def test_truth_counts_what_happened_and_what_did_not():
    episode, truth = Episode(3, 'new'), RenderedTruth(3, 'new')
    narration = episode.narrations(0.0, 60.0)[0]
    assert truth.is_true_narration(narration.time + 1.0, narration.text)
    assert not truth.is_true_narration(narration.time + 30.0, 'You fly to the moon.')
    question = next(q for time in range(60) for q in episode.questions(float(time)))
    assert truth.is_true_answer(question.time, question.text, question.answer)
    assert not truth.is_true_answer(question.time, question.text, 'No.')
    assert truth.is_true_answer(question.time, 'Who are you?', 'A robot.') is None
    assert (truth.num_true, truth.num_false) == (2, 2)
    assert '2 true, 2 false' in truth.line(60.0)
