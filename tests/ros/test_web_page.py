# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser, beside a real node: what a person sees and does."""

import base64

import av
import cv2
import numpy as np
import pytest
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

pytest.importorskip('aiohttp', reason="aiohttp is not installed (pip install '.[person]')")

from tests.ros.graph import TINY_MODEL
from tests.ros.web_page import browser, web_server
from vlo_ros import msg
from vlo_ros.overlay import Overlay, draw_overlay
from vlo_ros.ros.convert import image_message_of

PLOTS = ('plot-silence', 'plot-latency')
# What the published demo puts to its users, demo/app.py of showlab/videollm-online.
PUBLISHED_EXAMPLES = {
    'Please narrate the video in real time.',
    'Please describe what I am doing.',
    'Could you summarize what have been done?',
    'Hi, guide me the next step.',
}


@pytest.fixture
def page(graph):
    """A browser on the page of the node `vlo` in the test's namespace."""
    node = f'{graph.namespace}/vlo'
    options = ('--node', node, '--model', TINY_MODEL, '--patience', 300)
    with browser() as driver, web_server(*options) as port:
        driver.get(f'http://127.0.0.1:{port}/')
        yield driver


def show_camera(graph, scenes):
    """Ten images a second, each scene for a second."""
    publisher = graph.watcher.create_publisher(Image, 'image', QoSProfile(depth=5))
    count = iter(range(10**9))

    def publish():
        scene = scenes[next(count) // 10 % len(scenes)]
        now = graph.watcher.get_clock().now().nanoseconds
        publisher.publish(image_message_of(scene, now, 'eye'))

    graph.watcher.create_timer(0.1, publish)


def text_of(driver, selector):
    return driver.execute_script(
        f'return [...document.querySelectorAll({selector!r})].map((e) => e.textContent).join("|")'
    )


def pixels_of(driver, canvas, *names):
    """Number of pixels of a canvas that have the colour of one of the page's variables."""
    return driver.execute_script(
        """
        const c = document.getElementById(arguments[0]);
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const style = getComputedStyle(document.documentElement);
        const wanted = arguments[1].map((name) => {
          const hex = style.getPropertyValue(name).trim();
          return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
        });
        let count = 0;
        for (let at = 0; at < d.length; at += 4)
          if (d[at + 3] > 60 && wanted.some((rgb) => rgb.every((v, i) => Math.abs(v - d[at + i]) < 9)))
            count += 1;
        return count;
        """,  # noqa: E501
        canvas,
        names,
    )


def bars_of(driver, canvas):
    return pixels_of(driver, canvas, '--blue', '--orange')


def shown_picture(driver):
    """What the live picture shows now, (H, W, 3) RGB; None before there is one."""
    url = driver.execute_script(
        """
        const image = document.getElementById('picture');
        if (!image.naturalWidth) return null;
        const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
        canvas.getContext('2d').drawImage(image, 0, 0);
        return canvas.toDataURL('image/png');
        """
    )
    if url is None:
        return None
    data = np.frombuffer(base64.b64decode(url.partition(',')[2]), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def drawn_over(picture_HWC, plain_NHWC):
    """Pixels that differ from the scene behind them: top left quarter, bottom, and between."""
    third = picture_HWC.shape[0] // 3
    differences_NHW = np.abs(picture_HWC.astype(int) - plain_NHWC).max(-1)
    # the scene that fits best where nothing is ever drawn
    differs = differences_NHW[differences_NHW[:, third:-third].mean((1, 2)).argmin()] > 60
    corner, bottom = differs[:third, : len(differs) // 2], differs[-third:]
    return corner.sum(), bottom.sum(), differs[third:-third].sum()


def is_drawn_over(picture_HWC, plain_NHWC):
    """Whether the picture is one of the scenes with silence bar and caption on it."""
    if picture_HWC is None or picture_HWC.shape != plain_NHWC.shape[1:]:
        return False
    corner, bottom, between = drawn_over(picture_HWC, plain_NHWC)
    return corner > 3000 and bottom > 3000 and between < 300


def complaints(driver):
    return [entry['message'] for entry in driver.get_log('browser') if entry['level'] == 'SEVERE']


def test_a_person_watches_asks_and_reads_the_answer(graph, scenes, page):
    node = graph.active_vlo()
    show_camera(graph, scenes[::12])
    assert [bars_of(page, canvas) for canvas in PLOTS] == [0, 0]
    graph.wait_for(lambda: text_of(page, '.line.remark'))
    plain_NHWC = np.stack([draw_overlay(scene, Overlay()) for scene in scenes[::12]]).astype(int)
    graph.wait_for(lambda: is_drawn_over(shown_picture(page), plain_NHWC))
    graph.wait_for(lambda: 'images/s' in text_of(page, '#status'))
    assert text_of(page, '#state') in ('watching', 'speaking')

    page.find_element('id', 'question').send_keys('What am I doing?\n')
    answer = graph.wait_for(lambda: text_of(page, '.line.answer'))
    assert 'answered in' in answer
    answers = msg.Response.TRIGGER_QUERY
    said = graph.wait_for(
        lambda: [r.text for r in graph.heard('response') if r.trigger == answers]
    )
    assert said[0] in answer
    assert text_of(page, '.line.question') == 'youWhat am I doing?'

    examples = page.find_elements('css selector', '#examples button')
    assert {example.text for example in examples} >= PUBLISHED_EXAMPLES
    for example in (examples[0], examples[-1]):
        example.click()
        graph.wait_for(lambda text=example.text: text in text_of(page, '.line.question'))
    for canvas in PLOTS:
        graph.wait_for(lambda canvas=canvas: bars_of(page, canvas) > 40)
    assert pixels_of(page, 'plot-silence', '--red') > 40  # the threshold
    assert pixels_of(page, 'plot-latency', '--red') == 0

    set_slider(page, 'silence_threshold', 0.4)
    graph.wait_for(lambda: node.get_parameter('silence_threshold').value == 0.4)
    set_slider(page, 'frame_fps', 4)
    graph.wait_for(lambda: node.get_parameter('frame_fps').value == 4.0)

    page.refresh()  # what was said is still there
    graph.wait_for(lambda: said[0] in text_of(page, '.line.answer'))
    resets = node.cameras[0].statistics.resets
    page.find_element('id', 'forget').click()
    graph.wait_for(lambda: node.cameras[0].statistics.resets > resets)
    graph.wait_for(lambda: 'it has forgotten' in text_of(page, '#note'))
    assert complaints(page) == []


def set_slider(page, name, value):
    page.execute_script(
        'const s = document.getElementById(arguments[0]); s.value = arguments[1];'
        's.dispatchEvent(new Event("input")); s.dispatchEvent(new Event("change"));',
        name,
        value,
    )


def test_what_is_said_is_text_and_never_markup(graph, page):
    evil = '<img src=x onerror="document.title=1"><b>bold</b>'
    graph.wait_for(lambda: graph.watcher.count_subscribers(f'{graph.namespace}/vlo/response'))
    graph.send_message(msg.Response(text=evil, state=msg.Response.STATE_FINISHED), 'vlo/response')
    graph.wait_for(lambda: evil in text_of(page, '.line.remark'))
    assert page.title == 'vlo_ros'
    assert not page.find_elements('css selector', '.transcript img, .transcript b')


def test_without_a_node_the_page_says_so(graph, page):
    graph.wait_for(lambda: 'is not there' in text_of(page, '#state'))
    assert not page.find_element('id', 'frame_fps').is_enabled()
    page.find_element('id', 'question').send_keys('Hello?\n')
    graph.wait_for(lambda: 'to send: Hello?' in text_of(page, '#note'))
    node = graph.active_vlo()  # the question waited for it
    graph.wait_for(lambda: node.cameras[0].statistics.queries_received == 1)
    graph.wait_for(lambda: 'Hello?' in text_of(page, '.line.question'))


def test_a_camera_that_is_not_found_is_said_where_its_picture_would_be(graph):
    graph.watcher.create_subscription(Image, 'front/image_raw', print, 5)
    options = ('--node', f'{graph.namespace}/watcher', '--camera', 'left')
    with browser() as driver, web_server(*options) as port:
        driver.get(f'http://127.0.0.1:{port}/')
        said = graph.wait_for(
            lambda: text if '--image TOPIC' in (text := text_of(driver, '#no-picture')) else None
        )
    assert f'{graph.namespace}/front/image_raw' in said


def test_a_setting_out_of_range_is_refused_with_a_reason(graph, scenes, page):
    node = graph.active_vlo()
    graph.wait_for(lambda: page.find_element('id', 'frame_fps').is_enabled())
    page.execute_script("send({do: 'set', name: 'frame_fps', value: -1})")
    graph.wait_for(lambda: 'outside 0.05 to 120' in text_of(page, '#note'))
    page.execute_script("send({do: 'set', name: 'model', value: 1})")
    graph.wait_for(lambda: 'cannot be set here' in text_of(page, '#note'))
    assert node.get_parameter('frame_fps').value == 2.0


def test_a_video_is_watched_without_a_camera(graph, scenes, page, tmp_path):
    path = tmp_path / 'kitchen.webm'
    write_video(path, scenes[:144:6])
    page.find_element('id', 'tab-video').click()
    page.find_element('id', 'file').send_keys(str(path))
    graph.wait_for(lambda: 'remarks' in text_of(page, '#progress'), 180)
    remarks = text_of(page, '.line.remark')
    assert remarks
    graph.wait_for(
        lambda: page.execute_script('return document.getElementById("player").duration')
    )
    time = page.execute_script('return said[0].time')
    page.execute_script('document.getElementById("player").currentTime = arguments[0] + 0.1', time)
    caption = graph.wait_for(lambda: text_of(page, '#caption'))
    assert caption in remarks


def write_video(path, scenes):
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libvpx', rate=2)
        stream.width = stream.height = 96
        for scene in scenes:
            big = cv2.resize(scene, (96, 96), interpolation=cv2.INTER_NEAREST)
            frame = av.VideoFrame.from_ndarray(big, format='rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
