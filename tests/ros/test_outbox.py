# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Wishes wait for their listener, in order, for a while, and not without number."""

from vlo_ros.ros.person.outbox import CAPACITY, Outbox


class Listener:
    def __init__(self):
        self.is_there = False
        self.heard = []
        self.complaints = []
        self.now = 0.0
        self.outbox = Outbox(self.complaints.append, 10.0, lambda: self.now)

    def put(self, what):
        self.outbox.put(what, lambda: self.is_there, lambda: self.heard.append(what))


def test_nothing_is_sent_before_somebody_listens_and_then_all_in_order():
    listener = Listener()
    listener.put('one')
    listener.put('two')
    listener.outbox.flush()
    assert (listener.heard, listener.outbox.waiting) == ([], ('one', 'two'))
    listener.is_there = True
    listener.outbox.flush()
    assert (listener.heard, listener.outbox.waiting) == (['one', 'two'], ())
    assert listener.complaints == []


def test_what_waited_too_long_is_given_up_and_the_next_still_waits():
    listener = Listener()
    listener.put('one')
    listener.now = 6.0
    listener.put('two')
    listener.now = 10.0
    listener.outbox.flush()
    assert listener.complaints == ['not sent, nobody listened for 10 s: one']
    assert listener.outbox.waiting == ('two',)
    listener.is_there = True
    listener.outbox.flush()
    assert listener.heard == ['two']


def test_one_too_many_is_refused_at_once_and_counted():
    listener = Listener()
    for number in range(CAPACITY + 1):
        listener.put(str(number))
    assert listener.complaints == [f'not sent, {CAPACITY} others wait already: {CAPACITY}']
    assert len(listener.outbox.waiting) == CAPACITY
    assert listener.outbox.num_given_up == 1


def test_what_waits_at_the_end_is_told():
    listener = Listener()
    listener.put('one')
    listener.outbox.close()
    listener.is_there = True
    listener.outbox.flush()
    assert listener.complaints == ['not sent, the end came first: one']
    assert listener.heard == []


def test_who_sends_may_put_again():
    listener = Listener()
    listener.is_there = True
    listener.outbox.put('one', lambda: True, lambda: listener.put('two'))
    listener.outbox.flush()
    assert listener.heard == ['two']
