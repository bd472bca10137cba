# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The managed node `vlo`: watches cameras, and speaks when there is something to say.

    image -> ImageInput.on_image          receive lane   keeps what frame_fps wants
          -> CameraStream.encode_some     encode lane    message -> RGB -> frame tokens -> backlog
          -> DecodeLane, Judge            decode lane    backlog -> decision, response
          -> StreamPublishers             response, response/partial, decision

`configure` loads weights and warms up, `activate` opens the gate, `deactivate` stops a sentence
between two tokens, `cleanup` frees the memory. A transition that fails says why and leaves the
node unconfigured, ready to be configured again.
"""

from __future__ import annotations

import functools
import gc
import os
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import rclpy
import torch
from rclpy.callback_groups import CallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import Trigger as TriggerService

from vlo_ros.checkpoint import VloModel, load_model
from vlo_ros.errors import VloError, one_line
from vlo_ros.ros.camera_stream import ENCODING, JUDGING, RESET_TIMEOUT_S, CameraStream
from vlo_ros.ros.decode_lane import DecodeLane
from vlo_ros.ros.interrupt import until_interrupted
from vlo_ros.ros.lanes import LanesExecutor, make_lanes, surviving
from vlo_ros.ros.node_config import NodeConfig
from vlo_ros.ros.notices import Notices
from vlo_ros.ros.params import NodeParameters
from vlo_ros.ros.reporter import Reporter
from vlo_ros.ros.warm_up import warm_up
from vlo_ros.threads import share_threads, use_threads

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
Transition = Callable[['VloNode', LifecycleState], TransitionCallbackReturn]


def transition(body: Callable[[VloNode], None]) -> Transition:
    """Make a lifecycle callback of a method that raises when it fails.

    rclpy drops exceptions of transitions without a word. Here a person's mistake is one line, a
    mistake of ours a traceback, and the node lets go of what it held.
    """

    @functools.wraps(body)
    def callback(node: VloNode, state: LifecycleState) -> TransitionCallbackReturn:
        name = node.under_way = body.__name__.removeprefix('on_')
        try:
            body(node)
        except VloError as error:
            node.failure = f'{name} failed: {error}'
            node.get_logger().error(node.failure)
        except Exception as error:
            node.failure = f'{name} failed: {one_line(error)}'
            node.get_logger().error(f'{name} failed:\n{traceback.format_exc()}')
        else:
            node.failure = ''
            return SUCCESS
        finally:
            node.under_way = ''
        node.let_go()
        # Only configure may fail and come back; from elsewhere on_error leads to unconfigured.
        return FAILURE if name == 'configure' else TransitionCallbackReturn.ERROR

    return callback


class VloNode(LifecycleNode):
    """The node.

    Attributes:
        cameras: One stream for each camera, empty while unconfigured.
        model: The shared weights, None while unconfigured.
        settings: The node's own settings.
        failure: Why the last transition failed, '' when it did not.
        under_way: Name of the transition under way, '' for none.
    """

    def __init__(self, **options: Any) -> None:
        """Declare the parameters; nothing is loaded before `configure`."""
        self._serve = ReentrantCallbackGroup()
        self.cameras: list[CameraStream] = []
        self.model: VloModel | None = None
        self.settings = NodeConfig()
        self.failure = ''
        self.under_way = ''
        super().__init__('vlo', **options)
        self._encoding = threading.Lock()
        self._decoding = threading.Lock()
        self._decode_lane = DecodeLane()
        self._all_threads = torch.get_num_threads()  # lanes set their own; later it is theirs
        self._shares = share_threads(self._all_threads)
        self._watching = threading.Lock()
        notices = Notices(self.get_logger())
        self._lanes = make_lanes(
            self,
            surviving(self, notices, self._encode),
            surviving(self, notices, self._decode),
            self._decode_lane.arrived.set,
        )
        self.parameters = NodeParameters(self, self._on_live_change)
        self._reporter = Reporter(self)
        self._reset_all = None
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        report = surviving(self, notices, self._report)
        self.create_timer(1.0, report, self._lanes.watch, clock=steady)

    @property
    def default_callback_group(self) -> CallbackGroup:
        """Services answer at once, even while a transition is under way."""
        return self._serve

    # -- transitions -----------------------------------------------------------------------

    @transition
    def on_configure(self) -> None:
        """Load the weights, run them once, join the graph."""
        self._take_settings()
        config = self.parameters.load()
        self._shares = share_threads(config.model.threads or self._all_threads)
        self.get_logger().info(f'loading {self.settings.model}')
        self.model = load_model(config.model)
        stream_config = self.parameters.load().stream  # some were set while weights were read
        warm_up(self.model, stream_config)
        for name in self.settings.cameras or ('',):
            self.cameras.append(
                CameraStream(self, name, self.model, stream_config, self.settings, self._lanes)
            )
        with self._watching:
            self._reporter.join([camera.name for camera in self.cameras])
        if self.settings.cameras:  # else ~/reset is the one camera's
            self._reset_all = self.create_service(TriggerService, '~/reset', self._on_reset_all)
        self.parameters.is_configured = True
        size = self.model.memory_bytes() / 1e9
        self.get_logger().info(f'ready: {size:.2f} GB of weights on {self.model.device}')
        if not config.model.truthful:
            self.get_logger().warning('a test model: what it says is not meant to be true')

    @transition
    def on_activate(self) -> None:
        """Open the gate."""
        for camera in self.cameras:
            camera.open()

    @transition
    def on_deactivate(self) -> None:
        """Close the gate; sentences stop between two tokens."""
        self._close_gate()
        with self._encoding, self._decoding:
            self._drain()

    @transition
    def on_cleanup(self) -> None:
        """Free the memory."""
        self.let_go()

    @transition
    def on_shutdown(self) -> None:
        """End for good."""
        self.let_go()

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Whatever failed has let go already: the node is unconfigured again."""
        return SUCCESS

    def let_go(self) -> None:
        """Leave the graph and free weights and caches."""
        self._close_gate()
        with self._encoding, self._decoding, self._watching:
            self._drain()
            while self.cameras:
                self.cameras.pop().destroy()
        if self._reset_all is not None:
            self.destroy_service(self._reset_all)
            self._reset_all = None
        self.parameters.is_configured = False
        self.model = None
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()  # other programs may have the memory now

    def _close_gate(self) -> None:
        """Let nothing in. Before waiting for the lanes: it ends what they are in the middle of."""
        for camera in self.cameras:
            camera.close()

    def _drain(self) -> None:
        """Bring what was begun to an end, while both lanes are held still."""
        for camera in self.cameras:
            camera.drain()

    # -- lanes -----------------------------------------------------------------------------

    def _encode(self) -> None:
        def encode() -> None:
            use_threads(self._shares.encode)
            while any([camera.encode_some() for camera in self.cameras]):
                pass

        self._run_lane(ENCODING, self._encoding, encode)

    def _decode(self) -> None:
        def decode() -> None:
            use_threads(self._shares.decode)
            self._decode_lane.run(list(self.cameras))

        self._run_lane(JUDGING, self._decoding, decode)

    def _run_lane(self, what: str, lane: threading.Lock, run: Callable[[], None]) -> None:
        """Do all that is due in a lane; if the lane itself breaks, no camera can go on."""
        with lane:
            try:
                run()
            except Exception as error:
                for camera in self.cameras:
                    camera.give_up(what, error)
                raise

    def _report(self) -> None:
        with self._watching:
            for camera in self.cameras:
                camera.look_after()
            self._reporter.report()

    # -- requests --------------------------------------------------------------------------

    def _on_live_change(self, changes: dict[str, Any]) -> None:
        self._take_settings()
        for camera in self.cameras:
            camera.configure(self.settings, changes)

    def _take_settings(self) -> None:
        self.settings = self.parameters.node_config()
        self._decode_lane.is_joined = self.settings.batch
        self._decode_lane.wait_s = self.settings.batch_wait

    def _on_reset_all(self, request, response: TriggerService.Response) -> TriggerService.Response:
        tickets = [(camera, camera.ask_reset()) for camera in self.cameras]
        end = time.monotonic() + RESET_TIMEOUT_S
        busy = [
            camera.name
            for camera, ticket in tickets
            if not camera.wait_reset(ticket, max(end - time.monotonic(), 0.0))
        ]
        response.success = not busy
        response.message = f'still busy: {", ".join(busy)}' if busy else ''
        return response


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted."""
    rclpy.init(args=args)
    node = VloNode()
    executor = LanesExecutor()
    executor.add_node(node)
    with until_interrupted():
        executor.spin()
    for camera in node.cameras:
        camera.close()
    rclpy.try_shutdown()
    if node.under_way == 'configure':
        os._exit(0)  # weights that are being loaded cannot be told to stop
    return 0  # the lanes come to an end by themselves; what they hold is alive until then


if __name__ == '__main__':
    raise SystemExit(main())
