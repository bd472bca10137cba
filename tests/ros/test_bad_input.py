# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bad days: the node stays alive and says what happened, once and not per frame."""

import shutil

import cv2
import numpy as np
import pytest
import torch
import yaml
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage

from tests.ros.graph import TINY_MODEL, S, black_image, errors_of
from vlo_ros import msg
from vlo_ros.message_header import to_ns
from vlo_ros.ros.convert import image_message_of

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


def check_alive(graph, scenes):
    """The node still judges frames."""
    graph.show(scenes[:2], 1000 * S)


# -- configure -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('parameters', 'says'),
    [
        ({'model': '/nowhere/model.yaml'}, '/nowhere/model.yaml: No such file'),
        ({'model__llm': '/nowhere/llm'}, "model.llm: '/nowhere/llm' is no folder"),
        ({'model__vision': './nowhere'}, 'model.vision'),
        ({'model__adapter': '/nowhere'}, 'model.adapter'),
        ({'frame_fps': 1000.0}, 'stream.frame_fps: 1000.0 is outside 0.05 to 120.0'),
        ({'frame_fps': 'fast'}, "frame_fps: 'fast' is not a float"),
        ({'silence_threshold': -1}, 'stream.silence_threshold: -1.0 is outside'),
        ({'model__device': 'toaster'}, "model.device: 'toaster' is not one of"),
        ({'chunk': 'much'}, "stream.chunk: 'much' is neither"),
        ({'image_transport': 'theora'}, "node.image_transport: 'theora' is not one of"),
        ({'cameras': ['left', 'le/ft']}, "cameras: 'le/ft' cannot be part of a topic"),
        ({'window_tokens': 8}, 'stream.window_tokens: 8 is too small'),
    ],
)
def test_configure_fails_with_one_line_and_may_be_tried_again(graph, capfd, parameters, says):
    node = graph.vlo(**parameters)
    assert node.trigger_configure() == FAILURE
    (line,) = errors_of(capfd.readouterr())
    assert says in line
    assert says in node.failure
    assert (node.model, node.cameras) == (None, [])
    for name in parameters:
        good = {'model': str(TINY_MODEL), 'cameras': [''], 'window_tokens': 0, 'frame_fps': 2.0}
        name = name.replace('__', '.')
        value = good.get(name, original(name))
        (result,) = node.set_parameters([Parameter(name, value=value)])
        assert result.successful, result.reason
    assert node.trigger_configure() == SUCCESS


def original(name):
    content = yaml.safe_load(TINY_MODEL.read_text())['model']
    folder = TINY_MODEL.parent
    return {
        'model.llm': str(folder / content['llm']),
        'model.vision': str(folder / content['vision']),
        'model.adapter': str(folder / content['adapter']),
        'model.device': 'cpu',
        'silence_threshold': 0.7,
        'chunk': 'auto',
        'image_transport': 'raw',
    }.get(name)


@pytest.mark.parametrize(
    ('setting', 'value'),
    [
        ('image.subscription.reliability', 'perhaps'),
        ('vlo/query.subscription.depth', 'deep'),
        ('vlo/status.publisher.reliability', 'perhaps'),
        ('vlo/response/partial.publisher.history', 'keep_some'),
    ],
)
def test_a_bad_qos_override_is_one_line_and_nothing_stays_on_the_graph(
    graph, capfd, setting, value
):
    topic, kind, policy = setting.split('.')
    topic = f'{graph.namespace}/{topic}'
    node = graph.vlo(**{f'qos_overrides.{topic}.{kind}.{policy}': value})
    assert node.trigger_configure() == FAILURE
    (line,) = errors_of(capfd.readouterr())
    assert f'qos_overrides.{topic}.{kind}: ' in line
    assert 'accepted: reliability: reliable, best_effort' in line
    ours = f'{graph.namespace}/vlo/'
    names = {name for name, _ in node.get_topic_names_and_types() if name.startswith(ours)}
    assert names <= {f'{ours}status', f'{ours}transition_event'}


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU here')
def test_cuda_without_a_gpu_is_one_line(graph, capfd):
    node = graph.vlo(model__device='cuda')
    assert node.trigger_configure() == FAILURE
    (line,) = errors_of(capfd.readouterr())
    assert "model.device: 'cuda'" in line


def test_adapter_of_another_base_is_one_line(graph, capfd, tmp_path):
    folder = tmp_path / 'adapter'
    shutil.copytree(TINY_MODEL.parent.parent / 'live1' / 'checkpoint', folder)
    node = graph.vlo(model__adapter=str(folder))
    assert node.trigger_configure() == FAILURE
    (line,) = errors_of(capfd.readouterr())
    assert str(folder) in line


def test_a_mistake_of_ours_in_a_transition_leaves_a_traceback(graph, capfd, monkeypatch):
    from vlo_ros.ros import vlo_node

    def broken(config):
        raise ZeroDivisionError('planted')

    load_model = vlo_node.load_model
    monkeypatch.setattr(vlo_node, 'load_model', broken)
    node = graph.vlo()
    assert node.trigger_configure() == FAILURE
    captured = capfd.readouterr().err
    assert 'Traceback' in captured and 'ZeroDivisionError: planted' in captured
    monkeypatch.setattr(vlo_node, 'load_model', load_model)
    assert node.trigger_configure() == SUCCESS


# -- images --------------------------------------------------------------------------------

DEFECTS = {
    'unknown encoding': ({'encoding': '32FC1'}, 'encoding is not read; accepted: rgb8'),
    'step too small': ({'step': 23}, 'step 23 is shorter than a row of 24 bytes'),
    'empty': ({'width': 0, 'height': 0, 'step': 0, 'data': b''}, 'empty image'),
    'too little data': ({'data': bytes(100)}, '100 bytes of data'),
}


@pytest.mark.parametrize('defect', DEFECTS)
def test_defective_images_are_said_once(graph, scenes, capfd, defect):
    fields, says = DEFECTS[defect]
    node = graph.active_vlo()
    capfd.readouterr()
    for index in range(5):
        message = black_image(**fields)
        message.header.stamp.sec = 100 + index
        graph.deliver(node, message)
    graph.wait_for(lambda: node.cameras[0].statistics.frames_rejected == 5)
    (line,) = errors_of(capfd.readouterr())
    assert says in line
    assert f'{graph.namespace}/image' in line
    check_alive(graph, scenes)


def test_half_a_jpeg_is_said_once(graph, capfd):
    node = graph.active_vlo(image_transport='compressed')
    capfd.readouterr()
    jpeg = cv2.imencode('.jpg', np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    for index in range(4):
        data = jpeg if index == 3 else jpeg[: len(jpeg) // 2]
        message = CompressedImage(format='jpeg', data=data)
        message.header.stamp.sec = 100 + index
        graph.deliver(node, message, 'image/compressed')
    graph.wait_for(lambda: graph.heard('decision'))
    assert node.cameras[0].statistics.frames_rejected == 3
    (line,) = errors_of(capfd.readouterr())
    assert 'the JPEG is cut short' in line


# -- floods --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('x' * 100_000, 'the query has 100000 characters, at most 2000'),
        ('', 'the query is empty'),
        ('  \n ', 'the query is empty'),
    ],
)
def test_a_query_that_is_refused_says_why_to_its_asker(graph, scenes, text, says):
    graph.active_vlo()
    graph.ask(text, 'mine')
    (response,) = graph.wait_for(lambda: graph.heard('response'))
    assert response.query_id == 'mine'
    assert says in response.reason
    assert (response.state, response.text) == (msg.Response.STATE_CANCELLED, '')
    check_alive(graph, scenes)


def test_of_many_queries_each_is_answered_or_refused(graph, scenes, capfd):
    graph.active_vlo(backlog_queries=10, max_new_tokens=3)
    graph.show(scenes[:1])
    capfd.readouterr()
    ids = [f'id{number}' for number in range(150)]
    for query_id in ids:
        graph.ask('What am I doing?', query_id, 100 * S + 1)
    graph.show(scenes[1:2], start_ns=101 * S)
    graph.wait_for(lambda: {r.query_id for r in graph.heard('response')} >= set(ids))
    told = [r for r in graph.heard('response') if r.query_id]
    assert sorted(r.query_id for r in told) == sorted(ids)
    refused = [r for r in told if r.reason]
    assert all('10 queries are waiting already' in r.reason for r in refused)
    assert all(r.text for r in told if not r.reason)
    assert len(refused) >= 100
    assert len(errors_of(capfd.readouterr())) <= 1


def test_a_query_to_an_inactive_node_is_refused(graph):
    node = graph.vlo()
    graph.hear()
    assert node.trigger_configure() == SUCCESS
    graph.ask('Anybody there?', 'mine')
    (response,) = graph.wait_for(lambda: graph.heard('response'))
    assert (response.query_id, response.reason) == ('mine', 'the node is not active')


def test_waiting_queries_are_refused_at_cleanup(graph, scenes):
    node = graph.active_vlo()
    graph.show(scenes[:1])
    graph.ask('And then?', 'mine', 500 * S)  # no frame will ever come to this
    graph.wait_for(lambda: node.cameras[0].stream.backlog_queries)
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_cleanup() == SUCCESS
    response = graph.wait_for(
        lambda: next((r for r in graph.heard('response') if r.query_id == 'mine'), None)
    )
    assert response.reason == 'the node was cleaned up'


def test_a_flood_of_frames_is_dropped_oldest_first_and_counted(graph, scenes):
    node = graph.active_vlo(inbox_images=4, backlog_frames=8, frame_fps=120.0)
    camera = node.cameras[0]
    with node._encoding:  # the encoder is held up
        for index in range(30):
            graph.deliver(node, image_message_of(scenes[0], 100 * S + index * S // 100, 'eye'))
    graph.wait_for(lambda: len(graph.heard('decision')) == 4)
    stamps = [to_ns(decision.header.stamp) for decision in graph.heard('decision')]
    assert stamps == [100 * S + index * S // 100 for index in range(26, 30)]
    assert camera.images.inbox.num_dropped == 26
    graph.wait_for(lambda: any(status.frames_dropped == 26 for status in graph.heard('status')))
    check_alive(graph, scenes)


# -- the model -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    'error',
    [torch.OutOfMemoryError('CUDA out of memory'), MemoryError(), ZeroDivisionError('planted')],
)
@pytest.mark.parametrize('stage', ['encode', 'decode'])
def test_a_forward_that_fails_is_said_once_and_the_stream_goes_on(
    graph, scenes, capfd, monkeypatch, stage, error
):
    node = graph.active_vlo()
    graph.show(scenes[:2])
    graph.ask('And then?', 'mine', 500 * S)
    graph.wait_for(lambda: node.cameras[0].stream.backlog_queries)
    capfd.readouterr()

    def fails(*arguments, **options):
        raise error

    with monkeypatch.context() as broken:
        if stage == 'encode':
            broken.setattr(type(node.model), 'encode', fails)
        else:
            broken.setattr(type(node.model.language), 'forward', fails)
        for index in range(3):
            graph.deliver(node, image_message_of(scenes[0], (200 + index) * S, 'eye'))
        graph.wait_for(lambda: node.cameras[0].notices.last)
        graph.wait_for(lambda: not len(node.cameras[0].images.inbox))
        graph.wait_for(lambda: not node.cameras[0].stream.backlog_frames)
    err = capfd.readouterr().err
    if isinstance(error, ZeroDivisionError):
        assert err.count('ZeroDivisionError: planted') == 1
        assert 'Traceback' in err
    else:
        assert err.count('out of memory on cpu') == 1
        assert 'Traceback' not in err
    check_alive(graph, scenes)
    statistics = node.cameras[0].statistics

    def num_accounted_for():
        lost = statistics.frames_rejected + node.cameras[0].num_dropped
        return statistics.frames_judged + lost

    graph.wait_for(lambda: num_accounted_for() == statistics.frames_received)
    if stage == 'decode':  # the stream was forgotten, and with it who waited
        response = graph.wait_for(
            lambda: next((r for r in graph.heard('response') if r.query_id == 'mine'), None)
        )
        assert 'judging failed' in response.reason
