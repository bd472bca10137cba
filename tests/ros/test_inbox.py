# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that wait for the encoder: what is held, taken and left out when stamps go back."""

import pytest

from vlo_ros.ros.inbox import Arrival, ImageInbox

S = 1_000_000_000


class Camera:
    """Offers images to an inbox and notes what it is told."""

    def __init__(self, fps=10.0, capacity=100):
        self.num_restarts = self.num_strays = 0
        self.inbox = ImageInbox(fps, capacity, self.on_restart, self.on_stray)

    def on_restart(self):
        self.num_restarts += 1
        return self.num_restarts

    def on_stray(self):
        self.num_strays += 1

    def offer(self, *seconds):
        return [self.inbox.offer(round(moment * S), b'') for moment in seconds]

    def taken(self):
        return [(image.stamp_ns / S, image.index) for image in self.inbox.take(100)[0]]


@pytest.mark.parametrize('back', [5.0, 0.0])
def test_one_stamp_far_back_is_left_out(back):
    camera = Camera()
    arrivals = camera.offer(20.0, 20.1, back, 20.2, 20.3)
    assert [arrival.value for arrival in arrivals] == ['wanted'] * 2 + ['held'] + ['wanted'] * 2
    assert camera.taken() == [(20.0, 0), (20.1, 1), (20.2, 2), (20.3, 3)]
    assert (camera.num_strays, camera.num_restarts) == (1, 0)


def test_a_second_stamp_far_back_makes_both_the_beginning():
    camera = Camera()
    arrivals = camera.offer(20.0, 20.1, 5.0, 5.1, 5.2)
    assert arrivals[2:] == [Arrival.HELD, Arrival.RESTARTED, Arrival.WANTED]
    assert camera.taken() == [(5.0, 0), (5.1, 1), (5.2, 2)]
    assert (camera.num_strays, camera.num_restarts) == (0, 1)


def test_stamps_that_stand_still_or_run_backwards_are_no_new_time():
    camera = Camera()
    assert camera.offer(20.0, 0.0, 0.0, 0.0)[1:] == [Arrival.HELD] * 3
    assert camera.offer(9.0, 7.5, 7.0) == [Arrival.RESTARTED, Arrival.HELD, Arrival.HELD]
    assert camera.num_restarts == 1


def test_strays_among_good_stamps_are_each_left_out():
    camera = Camera()
    camera.offer(20.0, 5.0, 20.1, 5.1, 20.2, 5.2, 20.3)
    assert [stamp for stamp, _ in camera.taken()] == [20.0, 20.1, 20.2, 20.3]
    assert (camera.num_strays, camera.num_restarts) == (3, 0)


def test_a_clock_that_went_back_needs_no_second_image():
    camera = Camera()
    camera.offer(20.0)
    camera.inbox.clock_went_back()
    assert camera.offer(20.1, 5.0, 5.1) == [Arrival.WANTED, Arrival.RESTARTED, Arrival.WANTED]
    assert camera.taken() == [(5.0, 0), (5.1, 1)]
    assert camera.offer(1.0) == [Arrival.HELD]  # it holds for one jump


def test_images_are_of_the_epoch_in_which_they_came():
    camera = Camera()
    camera.offer(20.0)
    assert camera.inbox.take(1)[1] == 0
    camera.offer(5.0, 5.1)
    images, epoch = camera.inbox.take(100)
    assert ([image.index for image in images], epoch) == ([0, 1], 1)
    assert camera.inbox.restart(lambda: 7) == 7
    assert camera.inbox.restart() == 7
    assert camera.inbox.take(1) == ([], 7)


def test_what_waits_when_time_begins_anew_is_counted():
    camera = Camera()
    camera.offer(20.0, 20.1, 20.2, 5.0, 5.1)
    assert camera.inbox.num_dropped == 3
    camera.inbox.restart()
    assert camera.inbox.num_dropped == 5


def test_time_that_goes_back_is_noticed_though_what_waited_was_dropped():
    camera = Camera()
    camera.offer(20.0, 20.1, 5.0)
    camera.inbox.drop_waiting()
    assert camera.inbox.num_dropped == 3
    assert camera.offer(20.2) == [Arrival.WANTED]
    assert camera.taken() == [(20.2, 2)]
    assert camera.offer(6.0, 6.1) == [Arrival.HELD, Arrival.RESTARTED]


def test_a_restart_forgets_what_is_held():
    camera = Camera()
    camera.offer(20.0, 5.0)
    camera.inbox.restart()
    assert camera.inbox.num_dropped == 2
    assert camera.offer(6.0, 6.1) == [Arrival.WANTED, Arrival.WANTED]
    assert (camera.num_strays, camera.num_restarts) == (0, 0)
