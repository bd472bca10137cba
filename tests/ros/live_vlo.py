# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `vlo` in a process of its own, and cameras in others, as a test handles them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from lifecycle_msgs.msg import Transition
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from tests.ros.graph import TINY_MODEL, S
from tests.ros.processes import change_state, node_argv, process

ROOT = Path(__file__).resolve().parents[2]
UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
DOWN = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)


class LiveVlo:
    """A running node.

    Attributes:
        child: Its process.
        log: What it prints.
        faults: Folder of the faults that faulty_vlo.py looks for.
        start_ns: Stamp for the next test to begin with; `fresh` moves it on.
    """

    def __init__(self, graph, child, log, faults):
        self.graph, self.child, self.log, self.faults = graph, child, log, faults
        self.start_ns = 1000 * S

    def bring(self, transitions):
        for transition_id in transitions:
            assert change_state(self.graph, 'vlo', transition_id), self.log.read_text()

    def call(self, kind, name, request):
        client = self.graph.watcher.create_client(kind, f'vlo/{name}')
        self.graph.wait_for(client.service_is_ready)
        future = client.call_async(request)
        self.graph.wait_for(future.done)
        self.graph.watcher.destroy_client(client)
        return future.result()

    def set(self, **parameters):
        request = SetParameters.Request(
            parameters=[
                Parameter(name, value=value).to_parameter_msg()
                for name, value in parameters.items()
            ]
        )
        for result in self.call(SetParameters, 'set_parameters', request).results:
            assert result.successful, result.reason

    def fresh(self):
        """Forget the stream and what was heard; stamps go on a thousand seconds later."""
        for path in self.faults.iterdir():
            path.unlink()
        assert self.call(Trigger, 'reset', Trigger.Request()).success
        self.start_ns += 1000 * S
        for name in ('decision', 'response', 'response/partial', 'status'):
            self.graph.heard(name).clear()

    def plant(self, fault, value=''):
        """Have a fault happen; complete before its name is there."""
        hidden = self.faults.with_name(f'{fault}.part')
        hidden.write_text(str(value))
        hidden.rename(self.faults / fault)

    def meet(self, camera):
        """Have a new camera send until one image arrives: what comes before both match is lost."""
        before = self.status().frames_received
        while self.status().frames_received == before:
            self.start_ns += S
            camera.send([{'stamp_ns': self.start_ns}])

    @contextlib.contextmanager
    def compressed(self):
        """Have it configured for compressed images for a while."""
        self._take('compressed')
        try:
            yield
        finally:
            self._take('raw')

    def _take(self, image_transport):
        self.bring(DOWN)
        self.set(image_transport=image_transport)
        self.bring(UP)

    def status(self, condition=lambda status: True):
        """A status that is published from now on and of which `condition` holds."""
        heard = self.graph.heard('status')
        seen = len(heard)
        return self.graph.wait_for(
            lambda: next((status for status in heard[seen:] if condition(status)), None)
        )

    def told(self, query_ids):
        """All responses to queries, once each of them has one."""
        responses = self.graph.heard('response')
        self.graph.wait_for(lambda: {r.query_id for r in responses} >= set(query_ids))
        return [response for response in responses if response.query_id in query_ids]

    def told_in_the_end(self, query_ids):
        """All responses to queries, the stream forgotten: none can come after these."""
        self.told(query_ids)
        assert self.call(Trigger, 'reset', Trigger.Request()).success
        self.graph.ask('', 'refused at once')
        self.told(['refused at once'])
        return self.told(query_ids)

    def complaints(self):
        """Lines of its log that are warnings and errors."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if '[WARN]' in line or '[ERROR]' in line]


@contextlib.contextmanager
def live_vlo(graph, folder, **parameters):
    """Run the node, active, until the end of the body."""
    faults = folder / 'faults'
    faults.mkdir()
    argv = node_argv(
        'vlo_node',
        graph.namespace,
        model=TINY_MODEL,
        **{f'qos_overrides.{graph.namespace}/{topic}.subscription.{name}': value
           for topic in ('image', 'image/compressed')
           for name, value in (('reliability', 'reliable'), ('depth', 1000))},
        **parameters,
    )  # fmt: skip
    argv[2] = 'tests.ros.faulty_vlo'
    log = folder / 'vlo.log'
    with process(argv, log, VLO_TEST_FAULTS=str(faults), PYTHONPATH=python_path()) as child:
        vlo = LiveVlo(graph, child, log, faults)
        graph.hear()
        vlo.bring(UP)
        graph.publisher('vlo/query', vlo_query_type())
        graph.wait_for(lambda: graph.heard('status'))
        yield vlo
        assert child.poll() is None, log.read_text()
    assert child.returncode == 0, log.read_text()


def vlo_query_type():
    from vlo_ros import msg

    return msg.Query


def python_path():
    """The checkout in front of what the environment has, wherever the tests are run from."""
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get('PYTHONPATH'))))


class Talking:
    """A process of the tests whose lines are read as they come."""

    def __init__(self, module, namespace):
        self.child = subprocess.Popen(
            [sys.executable, '-m', module, namespace],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, 'PYTHONPATH': python_path()},
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.append(line.strip())

    def tell(self, order):
        self.child.stdin.write(json.dumps(order) + '\n')
        self.child.stdin.flush()

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.close()
        self.child.send_signal(signal.SIGCONT)
        self.child.kill()
        self.child.wait()
        self._reader.join()
        self.child.stdout.close()


class ScriptedCamera(Talking):
    """scripted_camera.py."""

    def __init__(self, graph):
        super().__init__('tests.ros.scripted_camera', graph.namespace)
        self._graph = graph
        self._num_sent = 0

    def send(self, images, topic='image'):
        """Publish images; returns when all are sent."""
        self.tell({'images': list(images), 'topic': topic})
        self._num_sent += 1
        self._graph.wait_for(
            lambda: sum('"sent"' in line for line in self.lines) == self._num_sent, 180.0
        )
