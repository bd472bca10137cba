# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page's server gives out three files, and only to whom they are meant for."""

import base64
import http.client
import socket

import pytest

pytest.importorskip('aiohttp', reason="aiohttp is not installed (pip install '.[person]')")

from tests.ros.web_page import request, web_server
from vlo_ros.errors import VloError
from vlo_ros.ros.person.web.server import FILES, PAGE, Server

SOCKET = {
    'Connection': 'Upgrade',
    'Upgrade': 'websocket',
    'Sec_WebSocket_Version': '13',
    'Sec_WebSocket_Key': base64.b64encode(b'0123456789abcdef').decode(),
}


@pytest.fixture(scope='module')
def port():
    with web_server('--node', '/nobody/vlo') as port:
        yield port


@pytest.fixture(scope='module')
def locked_port(tmp_path_factory):
    path = tmp_path_factory.mktemp('web') / 'password'
    path.write_text('open sesame\n')
    with web_server('--node', '/nobody/vlo', '--password-file', path) as port:
        yield port


def basic(password):
    return 'Basic ' + base64.b64encode(f'anybody:{password}'.encode()).decode()


@pytest.mark.parametrize('path', FILES)
def test_the_three_files_are_served_whole(port, path):
    status, headers, text = request(port, path)
    assert status == 200
    assert text == (PAGE / FILES[path]).read_text()
    assert "default-src 'self'" in headers['Content-Security-Policy']


def test_the_page_loads_nothing_from_elsewhere():
    for name in FILES.values():
        assert 'http://' not in (text := (PAGE / name).read_text())
        assert 'https://' not in text


@pytest.mark.parametrize(
    'path',
    [
        '/server.py',
        '/page/index.html',
        '/../server.py',
        '/page/../../server.py',
        '/%2e%2e/server.py',
        '/..%2f..%2f..%2f..%2fetc/passwd',
        '//etc/passwd',
        '/page.js/../../../../../../etc/passwd',
        '/page.js%00.html',
        '/.git/config',
    ],
)
def test_no_other_file_is_served(port, path):
    status, _, text = request(port, path)
    assert status in (400, 403, 404)
    assert 'import' not in text and 'root:' not in text


@pytest.mark.parametrize('path', [*FILES, '/socket', '/picture'])
def test_another_site_may_not_use_the_page(port, path):
    for headers in ({'Host': 'evil.example'}, {'Origin': 'http://evil.example'}):
        assert request(port, path, **headers)[0] == 403
    assert request(port, '/upload?name=x.mp4', 'POST', b'', Origin='http://evil.example')[0] == 403


@pytest.mark.parametrize('host', ['[', ':', '', '[::1', 'evil.example:80@127.0.0.1'])
def test_a_host_that_is_no_name_is_refused(port, host):
    assert request(port, '/', Host=host)[0] in (400, 403)


@pytest.fixture(scope='module')
def open_port(tmp_path_factory):
    path = tmp_path_factory.mktemp('web') / 'password'
    path.write_text('open sesame\n')
    options = ('--host', '0.0.0.0', '--password-file', path, '--name', 'Proxy.example')
    with web_server('--node', '/nobody/vlo', *options) as port:
        yield port


def test_an_open_page_knows_its_own_names_and_no_others(open_port):
    known = {'Authorization': basic('open sesame')}
    name = socket.gethostname()
    for host in ('127.0.0.1', '192.168.1.5', '[fe80::1]', 'localhost', name, f'{name}.local'):
        assert request(open_port, '/', Host=f'{host}:{open_port}', **known)[0] == 200, host
    assert request(open_port, '/', Host='proxy.example', **known)[0] == 200
    for host in ('evil.example', f'{name}.evil.example', '127.0.0.1.evil.example', 'x'):
        status, _, text = request(open_port, '/', Host=host, **known)
        assert status == 403, host
        assert '--name' in text
    own = f'127.0.0.1:{open_port}'
    for origin in ('http://evil.example', 'null', f'http://127.0.0.1:{open_port + 1}'):
        assert request(open_port, '/', Host=own, Origin=origin, **known)[0] == 403


def test_a_socket_from_the_page_itself_is_accepted(port):
    connection_status = request_socket(port, Origin=f'http://127.0.0.1:{port}')
    assert connection_status == 101


def request_socket(port, **headers):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    named = {name.replace('_', '-'): value for name, value in {**SOCKET, **headers}.items()}
    try:
        connection.request('GET', '/socket', headers=named)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_file_that_is_no_video_is_refused(port):
    status, _, text = request(port, '/upload?name=../../x.sh', 'POST', b'#!/bin/sh')
    assert status == 400
    assert text.startswith('.sh is no video; accepted: .mp4')


def test_a_video_that_cannot_be_read_says_so(port):
    status, _, text = request(port, '/upload?name=x.mp4', 'POST', b'not a video')
    assert status == 200
    assert '"kind": "end"' in text and '"error": ""' not in text


@pytest.mark.parametrize('path', [*FILES, '/picture', '/upload', '/nothing'])
def test_without_the_password_nothing_is_seen(locked_port, path):
    assert request(locked_port, path)[0] == 401
    assert request(locked_port, path, Authorization=basic('guess'))[0] == 401
    assert request(locked_port, path, Authorization='Basic !!!')[0] == 401
    assert request(locked_port, path, Cookie='vlo_web=guess')[0] == 401


def test_with_the_password_the_page_and_its_socket_are_there(locked_port):
    status, headers, _ = request(locked_port, '/', Authorization=basic('open sesame'))
    assert status == 200
    cookie = headers['Set-Cookie']
    assert 'HttpOnly' in cookie and 'SameSite=Strict' in cookie
    assert 'sesame' not in cookie
    assert request_socket(locked_port) == 401
    assert request_socket(locked_port, Cookie=cookie.partition(';')[0]) == 101


@pytest.mark.parametrize('host', ['0.0.0.0', '::', '192.168.1.5', 'robot.local'])
def test_it_is_not_opened_to_others_without_a_password(host):
    with pytest.raises(VloError, match='--password-file') as caught:
        Server(None, host, '', 'bundled')
    assert '\n' not in str(caught.value)
    assert Server(None, host, 'secret', 'bundled').app
