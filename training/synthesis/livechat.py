# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dialogues about a list of steps: a skeleton of times and speakers that a model fills in."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training.synthesis.outline import Outline
from training.synthesis.prompts import FREE, LivechatPrompt
from training.synthesis.request import Cache, Engine, Request, Tally, ask_all, derive_seed

OPEN = '...'
_LINE = re.compile(r'^\W*(\d+(?:\.\d+)?)\s*s?\W*(User|Assistant)\W*:\W*?(\S.*)?$')
_OFFICIAL_LINE = re.compile(r'(\d+(?:\.\d+)?)s?\s*(User|Assistant):(.*)$')


@dataclass(frozen=True)
class Line:
    """What somebody says at `time`, in s; role is 'user' or 'assistant'."""

    time: float
    role: str
    content: str


@dataclass(frozen=True)
class Plan:
    """One dialogue to be made.

    Attributes:
        outline: What it is about.
        number: Counts the dialogues of an outline.
        skeleton: Its lines; OPEN where the language model decides.
        kinds: Kind of each question.
    """

    outline: Outline
    number: int
    skeleton: tuple[Line, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Dialogue:
    """A finished dialogue; `duration` in s is that of the steps it is about."""

    uid: str
    lines: tuple[Line, ...]
    duration: float
    kinds: tuple[str, ...]

    def as_published(self) -> dict[str, object]:
        """An entry of the published file."""
        return {
            'video_uid': self.uid,
            'conversation': [
                {'role': line.role, 'content': line.content, 'time': line.time}
                for line in self.lines
            ],
            'duration': self.duration,
        }


def make_plans(
    outlines: Sequence[Outline], prompt: LivechatPrompt, seed: int, tally: Tally
) -> list[Plan]:
    """Draw the skeletons; each depends on its outline and the seed alone."""
    plans = []
    for outline in outlines:
        times = moments(outline)
        if len(times) < 2:
            tally.add('outlines_too_short')
            continue
        for number in range(prompt.dialogues_per_outline):
            rng = random.Random(derive_seed(seed, outline.uid, outline.key, number))
            plans.append(_plan(outline, number, times, prompt, rng))
    return plans


def moments(outline: Outline) -> list[int]:
    """The seconds at which a step begins or ends, rounded up."""
    found = {math.ceil(t) for step in outline.steps for t in (step.start, step.end)}
    return sorted(found)


def make_dialogues(
    plans: Sequence[Plan],
    prompt: LivechatPrompt,
    model: str,
    engine: Engine,
    cache: Cache,
    tally: Tally,
    *,
    seed: int = 0,
    official: bool = False,
    on_answer: Callable[[], None] | None = None,
) -> list[Dialogue]:
    """Have the dialogues written; those that never follow their skeleton are left out.

    Args:
        plans: What to make.
        prompt: How to ask.
        model: Name of the language model.
        engine: Who answers.
        cache: Where answers are kept.
        tally: Counts 'planned', 'off_skeleton', 'cut_off' and 'not_written'.
        seed: Of the draws.
        official: Take what lines there are, as the published preparation does.
        on_answer: For a progress bar.

    Returns:
        The dialogues in the order of the plans.
    """
    tally.add('planned', len(plans))
    written: dict[int, tuple[Line, ...]] = {}
    attempts = 1 if official else prompt.attempts
    for attempt in range(attempts):
        missing = [number for number in range(len(plans)) if number not in written]
        requests = [_request(plans[number], prompt, model, seed, attempt) for number in missing]
        answers = ask_all(requests, engine, cache, tally, on_answer)
        for number, answer in zip(missing, answers, strict=True):
            if answer.text is None:
                continue
            if answer.finish == 'length':
                tally.add('cut_off')
            lines = (
                parse_official(answer.text)
                if official
                else parse_dialogue(answer.text, plans[number].skeleton)
            )
            if lines:
                written[number] = lines
            else:
                tally.add('off_skeleton')
    tally.add('not_written', len(plans) - len(written))
    return [
        Dialogue(plan.outline.uid, written[number], _duration(plan.outline), plan.kinds)
        for number, plan in enumerate(plans)
        if number in written
    ]


def parse_dialogue(text: str, skeleton: Sequence[Line]) -> tuple[Line, ...]:
    """Read a completed skeleton; empty where it was not followed.

    Every question must be there and answered. The assistant may leave out what it would say
    unasked, and lines may run over several lines of text.
    """
    lines: list[Line] = []
    place = 0
    for time, role, content in _spoken(text):
        found = next(
            (
                index
                for index in range(place, len(skeleton))
                if skeleton[index].role == role and abs(skeleton[index].time - time) < 0.05
            ),
            None,
        )
        if found is None:
            return ()
        place = found + 1
        if content and content != OPEN:
            lines.append(Line(skeleton[found].time, role, content))
    asked = [line.time for line in skeleton if line.role == 'user']
    if [line.time for line in lines if line.role == 'user'] != asked:
        return ()
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        if line.role == 'user' and (following is None or following.role == 'user'):
            return ()
    return tuple(lines)


def parse_official(text: str) -> tuple[Line, ...]:
    """Read whatever lines there are, as the published preparation does."""
    return tuple(
        Line(float(time), role.lower(), content.strip())
        for time, role, content in (
            match.groups() for match in map(_OFFICIAL_LINE.search, text.splitlines()) if match
        )
    )


def _spoken(text: str) -> list[tuple[float, str, str]]:
    spoken: list[tuple[float, str, str]] = []
    for row in text.splitlines():
        match = _LINE.match(row.strip())
        if match:
            time, role, content = match.groups()
            spoken.append((float(time), role.lower(), (content or '').strip(' "*')))
        elif spoken and row.strip() and not row.lstrip().startswith(('```', '---', '(', '[')):
            time_s, role, content = spoken[-1]
            spoken[-1] = (time_s, role, f'{content} {row.strip()}'.strip())
    return spoken


def _plan(
    outline: Outline, number: int, times: list[int], prompt: LivechatPrompt, rng: random.Random
) -> Plan:
    wanted = prompt.questions_per_dialogue
    drawn: set[float] = set()
    while len(drawn) < wanted:  # tenths of a second: there are more of them than questions
        drawn.add(round(rng.uniform(times[0], times[-1]), 1))
        wanted = min(wanted, 10 * (times[-1] - times[0]))
    asked_at = sorted(drawn)
    kinds = rng.choices(
        list(prompt.question_odds), list(prompt.question_odds.values()), k=len(asked_at)
    )
    lines = []
    for time, kind in zip(asked_at, kinds, strict=True):
        query = OPEN if kind == FREE else rng.choice(prompt.queries[kind])
        lines += [Line(time, 'user', query), Line(time, 'assistant', OPEN)]
    # A dialogue begins with a question; before it nobody has asked for anything.
    lines += [Line(t, 'assistant', OPEN) for t in times if t > asked_at[0] and t not in drawn]
    lines.sort(key=lambda line: line.time)  # stable: an answer stays behind its question
    return Plan(outline, number, tuple(lines), tuple(kinds))


def _request(plan: Plan, prompt: LivechatPrompt, model: str, seed: int, attempt: int) -> Request:
    outline = plan.outline
    steps = '\n'.join(f'{step.start:.0f}-{step.end:.0f}: {step.text}' for step in outline.steps)
    skeleton = '\n'.join(
        f'{line.time:g}s {line.role.capitalize()}: {line.content}' for line in plan.skeleton
    )
    question = prompt.question.format(goal=outline.goal, steps=steps, skeleton=skeleton)
    return Request(
        model,
        (('system', prompt.system), ('user', question)),
        prompt.sampling.max_tokens,
        prompt.sampling.temperature,
        prompt.sampling.top_p,
        derive_seed(seed, outline.uid, outline.key, plan.number, attempt),
    )


def _duration(outline: Outline) -> float:
    times = moments(outline)
    return float(times[-1] - times[0])
