# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fallback without an endpoint, on a tiny model whose words mean nothing."""

from pathlib import Path

import pytest

from training.synthesis.in_process import InProcess
from training.synthesis.request import Cache, Request, Tally, ask_all
from vlo_ros.errors import CheckpointError

LLM = Path(__file__).parents[2] / 'golden' / 'live1plus' / 'llm'


@pytest.fixture(scope='module')
def engine():
    return InProcess(str(LLM), device='cpu', batch_size=2)


def requests(temperature: float) -> list[Request]:
    return [
        Request('tiny', (('user', f'say {n} ' * (n + 1)),), 6, temperature, seed=n)
        for n in range(5)
    ]


@pytest.mark.parametrize('temperature', [0.0, 1.0])
def test_answers_do_not_depend_on_what_else_is_asked(engine, tmp_path, temperature):
    asked = requests(temperature)
    together = ask_all(asked, engine, Cache(tmp_path / 'a'), Tally())
    assert all(answer.text is not None for answer in together)
    for request, answer in zip(reversed(asked), reversed(together), strict=True):
        assert ask_all([request], engine, Cache(tmp_path / 'b'), Tally()) == [answer]


def test_a_stop_text_ends_the_answer(engine, tmp_path):
    (request,) = requests(0.0)[:1]
    (answer,) = ask_all([request], engine, Cache(tmp_path), Tally())
    assert len(answer.text) > 2
    middle = answer.text[1:3]
    cut = Request(request.model, request.messages, 6, stop=(middle,))
    (short,) = ask_all([cut], engine, Cache(tmp_path), Tally())
    assert short.text == answer.text[: answer.text.index(middle)]
    assert short.finish == 'stop'


def test_a_missing_model_is_one_line(tmp_path):
    with pytest.raises(CheckpointError, match='is no folder'):
        InProcess(str(tmp_path / 'none'))
