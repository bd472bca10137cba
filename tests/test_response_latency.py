# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which responses tell of latency, and how late they are."""

from types import SimpleNamespace

import pytest

from vlo_ros.events import NS_PER_S as S
from vlo_ros.response_latency import LONGEST_NS, ResponseLatency, has_meaning, latency_of

PROACTIVE, ASKED = 0, 1
PARTIAL, FINISHED, TRUNCATED, CANCELLED = range(4)


def stamp(stamp_ns):
    sec, nanosec = divmod(stamp_ns, S)
    return SimpleNamespace(sec=sec, nanosec=nanosec)


def response(trigger=PROACTIVE, state=FINISHED, first_ns=101 * S, last_ns=102 * S + 5):
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp(100 * S + 3)),
        trigger=trigger,
        state=state,
        first_token_stamp=stamp(first_ns),
        finished_stamp=stamp(last_ns),
    )


@pytest.mark.parametrize('state', [FINISHED, TRUNCATED])
@pytest.mark.parametrize('trigger', [PROACTIVE, ASKED])
def test_an_ended_response_is_measured_to_the_nanosecond(trigger, state):
    latency = latency_of(response(trigger, state))
    assert latency == ResponseLatency(trigger == ASKED, S - 3, 2 * S + 2)


@pytest.mark.parametrize('state', [PARTIAL, CANCELLED])
@pytest.mark.parametrize('trigger', [PROACTIVE, ASKED])
def test_one_that_grows_or_was_stopped_or_refused_tells_nothing(trigger, state):
    assert latency_of(response(trigger, state)) is None


def test_what_was_never_stamped_is_not_measured():
    assert latency_of(response(first_ns=0)) == ResponseLatency(False, None, 2 * S + 2)
    assert latency_of(response(last_ns=0)) == ResponseLatency(False, S - 3, None)


def test_a_difference_between_unrelated_clocks_has_no_meaning():
    assert has_meaning(0) and has_meaning(-S) and has_meaning(LONGEST_NS)
    assert not has_meaning(LONGEST_NS + 1) and not has_meaning(-LONGEST_NS - 1)
