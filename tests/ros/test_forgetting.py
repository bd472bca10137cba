# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Requests to forget a stream: none is lost, whoever waits is told."""

import threading

from vlo_ros.ros.forgetting import Forgetting

SHORT_S = 0.01


def test_a_request_is_served_by_what_begins_after_it():
    forgetting = Forgetting()
    assert not forgetting.is_due
    first = forgetting.ask('first')
    ticket, _, reason = forgetting.begin()
    second = forgetting.ask('second')  # comes while the first is carried out
    forgetting.end(ticket)
    assert reason == 'first'
    assert forgetting.wait(first, SHORT_S)
    assert forgetting.is_due
    assert not forgetting.wait(second, SHORT_S)
    ticket, _, reason = forgetting.begin()
    forgetting.end(ticket)
    assert reason == 'second'
    assert forgetting.wait(second, SHORT_S)
    assert not forgetting.is_due


def test_one_forgetting_serves_all_who_asked_before():
    forgetting = Forgetting()
    tickets = [forgetting.ask(str(number)) for number in range(3)]
    served = []
    waiting = [
        threading.Thread(target=lambda t=ticket: served.append(forgetting.wait(t, 30)))
        for ticket in tickets
    ]
    for thread in waiting:
        thread.start()
    ticket, _, reason = forgetting.begin()
    forgetting.end(ticket)
    for thread in waiting:
        thread.join()
    assert (served, reason) == ([True] * 3, '2')


def test_an_epoch_begins_when_images_are_forgotten_too():
    forgetting = Forgetting()
    ticket = forgetting.ask('the camera started afresh', images_too=True)
    forgetting.ask('judging failed')
    newest, epoch, _ = forgetting.begin()
    assert epoch == ticket < newest
