# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Requests over real HTTP: bounded, retried, never lost."""

import threading

import pytest

from training.synthesis.endpoint import Endpoint, EndpointSettings
from training.synthesis.request import Cache, Request, SynthesisError, Tally, ask_all
from vlo_ros.errors import ConfigError


def requests(number: int = 6) -> list[Request]:
    return [
        Request('m', (('user', f'C lifts thing {n}.'),), 64, seed=n, stop=(']',))
        for n in range(number)
    ]


@pytest.fixture
def ask(server, tmp_path):
    """Ask the server with little patience; returns texts and tally."""

    def run(asked, **changes):
        changes = {
            'attempts': 3,
            'first_wait_s': 0.001,
            'longest_wait_s': 0.01,
            'timeout_s': 20.0,
            **changes,
        }
        tally = Tally()
        engine = Endpoint(EndpointSettings(server.url, **changes))
        answers = ask_all(asked, engine, Cache(tmp_path / 'cache'), tally)
        return answers, tally.counts

    return run


def test_answers_come_in_the_order_of_the_requests(ask, server):
    first_seven = threading.Barrier(7)

    def fault(body, count):
        if body['seed'] < 7:
            first_seven.wait(60)

    server.fault = fault
    answers, counts = ask(requests(40), concurrency=7, timeout_s=90.0)
    assert [answer.text for answer in answers] == [f'[You lift thing {n}.' for n in range(40)]
    assert counts == {'asked': 40}
    assert server.peak == 7


def test_the_body_is_what_such_endpoints_take(ask, server):
    ask(requests(1), api_key='secret')
    (body,) = server.bodies
    assert body.pop('_authorization') == 'Bearer secret'
    assert body.pop('_path') == '/v1/chat/completions'
    assert body == {
        'model': 'm',
        'messages': [{'role': 'user', 'content': 'C lifts thing 0.'}],
        'max_tokens': 64,
        'temperature': 0.0,
        'top_p': 1.0,
        'seed': 0,
        'stop': [']'],
    }


@pytest.mark.parametrize(
    ('fault', 'kind'),
    [
        (429, 'rate_limited'),
        ((429, {'Retry-After': '0.002'}), 'rate_limited'),
        ((429, {'Retry-After': 'Wed, 21 Oct 2026 07:28:00 GMT'}), 'rate_limited'),
        (503, 'server_error'),
        (500, 'server_error'),
        (b'not json', 'malformed'),
        (b'{"choices": []}', 'malformed'),
        (b'{"choices": [{"message": {"content": null}}]}', 'malformed'),
        (b'[1, 2]', 'malformed'),
    ],
)
def test_a_fault_is_tried_again_and_counted(ask, server, fault, kind):
    server.fault = lambda body, count: fault if count < 2 else None
    answers, counts = ask(requests())
    assert [answer.text for answer in answers] == [f'[You lift thing {n}.' for n in range(6)]
    assert counts == {'asked': 6, kind: 12}


def test_a_slow_answer_is_given_up_and_asked_again(ask, server):
    server.fault = lambda body, count: 'hang' if body['seed'] == 1 and count == 0 else None
    answers, counts = ask(requests(), timeout_s=3.0)
    assert all(answer.text for answer in answers)
    # On a machine that stands still, others may be given up as well.
    assert counts['asked'] == 6 and counts['timeout'] >= 1
    assert sum(body['seed'] == 1 for body in server.bodies) >= 2


def test_what_is_never_answered_is_told_and_asked_in_the_next_run(ask, server):
    server.fault = lambda body, count: 500 if body['seed'] == 2 else None
    answers, counts = ask(requests())
    assert [answer.text is None for answer in answers] == [n == 2 for n in range(6)]
    assert answers[2].finish == 'server_error'
    assert counts == {'asked': 6, 'server_error': 3, 'failed': 1}
    server.fault = lambda body, count: None
    answers, counts = ask(requests())
    assert all(answer.text for answer in answers)
    assert counts == {'cached': 5, 'asked': 1}


def test_a_prompt_the_endpoint_refuses_is_one_failure(ask, server):
    server.fault = lambda body, count: 400 if body['seed'] == 0 else None
    answers, counts = ask(requests())
    assert answers[0].finish == 'status_400'
    assert counts == {'asked': 6, 'failed': 1}


@pytest.mark.parametrize('status', [401, 404])
def test_a_wrong_key_or_model_stops_at_once(ask, server, status):
    server.fault = lambda body, count: status
    with pytest.raises(SynthesisError, match=f'chat/completions: status {status}'):
        ask(requests(50), concurrency=4)
    assert len(server.bodies) <= 8


def test_no_endpoint_at_all_is_one_line(tmp_path):
    settings = EndpointSettings('http://127.0.0.1:9/v1', attempts=2, first_wait_s=0.001)
    with pytest.raises(SynthesisError, match='cannot be reached'):
        ask_all(requests(), Endpoint(settings), Cache(tmp_path / 'cache'), Tally())


def test_the_same_request_is_asked_once(ask, server):
    answers, counts = ask([*requests(3), *requests(3)])
    assert len(answers) == 6 and len(server.bodies) == 3
    assert counts == {'asked': 3}


def test_a_damaged_answer_in_the_cache_is_asked_again(ask, server, tmp_path):
    ask(requests(3))
    victim = sorted((tmp_path / 'cache').rglob('*.json'))[0]
    victim.write_text(victim.read_text()[:40])
    _, counts = ask(requests(3))
    assert counts == {'cached': 2, 'asked': 1}


@pytest.mark.parametrize(
    'change', [{'model': 'n'}, {'seed': 1}, {'temperature': 0.1}, {'stop': ()}]
)
def test_whatever_changes_a_request_changes_its_digest(change):
    from dataclasses import replace

    (request,) = requests(1)
    assert replace(request, **change).digest != request.digest


@pytest.mark.parametrize(
    'change', [{'url': 'localhost:8000'}, {'concurrency': 0}, {'timeout_s': 0}]
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(ConfigError, match='endpoint'):
        EndpointSettings(**{'url': 'http://h/v1', **change})
