# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server on 127.0.0.1 that answers like a chat endpoint, faults included."""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


class ChatServer:
    """Answers every request the same way each time it is asked.

    Attributes:
        fault: Told a request's body and how often it came before; returns None for a proper
            answer, a status, (status, headers), bytes to send as they are, or 'hang'.
        bodies: Bodies of all requests, in order of arrival.
        peak: Most requests under way at once.
    """

    def __init__(self) -> None:
        self.fault: Callable[[dict[str, Any], int], Any] = lambda body, count: None
        self.reply: Callable[[dict[str, Any]], str] = reply_to
        self.bodies: list[dict[str, Any]] = []
        self.peak = 0
        self._active = 0
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.released = threading.Event()
        self.hanging = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers['content-length'])))
                body['_authorization'] = self.headers.get('authorization')
                body['_path'] = self.path
                status, headers, content = server.take(body)
                try:
                    self.send_response(status)
                    for name, value in {**headers, 'content-length': str(len(content))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # the client had had enough

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

        self.http = Server(('127.0.0.1', 0), Handler)
        self.http.daemon_threads = True
        self.url = f'http://127.0.0.1:{self.http.server_port}/v1'

    def take(self, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        key = json.dumps({'messages': body['messages'], 'seed': body['seed']})
        with self._lock:
            self._active += 1
            self.peak = max(self.peak, self._active)
            self.bodies.append(body)
            count = self._counts[key]
            self._counts[key] += 1
        try:
            fault = self.fault(body, count)
            if fault == 'hang':
                self.hanging.set()
                self.released.wait(60)
                fault = None
            if isinstance(fault, int):
                return fault, {}, b'{"error": {"message": "no"}}'
            if isinstance(fault, tuple):
                return fault[0], fault[1], b'{}'
            if isinstance(fault, bytes):
                return 200, {}, fault
            message = {'role': 'assistant', 'content': self.reply(body)}
            answer = {'choices': [{'message': message, 'finish_reason': 'stop'}]}
            return 200, {'content-type': 'application/json'}, json.dumps(answer).encode()
        finally:
            with self._lock:
                self._active -= 1


def reply_to(body: dict[str, Any]) -> str:
    """Rewrite a narration, or complete a skeleton; never anything random."""
    question = body['messages'][-1]['content']
    if '...' not in question:
        return '[' + re.sub(r'^C (\w+)s\b', r'You \1', question)
    skeleton = question.strip().split('\n\n')[-1]
    lines = []
    for number, line in enumerate(skeleton.splitlines()):
        said = f'Number {number}, as you go on.' if 'Assistant' in line else 'What is it?'
        lines.append(line.replace('...', said))
    return 'Here it is:\n\n' + '\n'.join(lines)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    """The server, running."""
    chat = ChatServer()
    thread = threading.Thread(target=chat.http.serve_forever, kwargs={'poll_interval': 0.02})
    thread.start()
    yield chat
    chat.released.set()
    chat.http.shutdown()
    thread.join()
    chat.http.server_close()


def segment(start: float, end: float, text: str, **more: Any) -> dict[str, Any]:
    return {
        'start_time': start,
        'end_time': end,
        'step_category': text,
        'step_description': text,
        **more,
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small Ego4D tree: narrations of two annotators, GoalStep with parts, metadata."""
    notes = tmp_path / 'datasets/ego4d/v2/annotations'
    notes.mkdir(parents=True)
    tracks = {
        'a': {
            'one': [{'time': 1.0, 'text': 'C lifts the lid.'}, {'time': 3.2, 'text': 'C cuts it.'}]
        },
        'b': {
            'one': [{'time': 2.0, 'text': 'C lifts the lid.'}],
            'two': [{'time': 2.5, 'text': 'C takes a cup.'}, {'time': 9.0, 'text': 'C looks up.'}],
        },
    }
    inner = [segment(10, 40.5, 'Chop'), segment(41, 95, 'Stir')]
    videos = [
        {
            'video_uid': uid,
            'start_time': 0.0,
            'end_time': 200.0,
            'goal_category': 'COOKING',
            'goal_description': 'Make soup',
            'segments': [segment(10, 95, 'Prepare', segments=inner), segment(96, 180, 'Serve')],
        }
        for uid in ('a', 'b')
    ]
    short = dict(videos[0], video_uid='c', segments=[segment(0.5, 20, 'Taste')])
    files: dict[str, Any] = {
        'narration_stream_train.json': tracks,
        'goalstep_train.json': {'videos': videos},
        'goalstep_val.json': {'videos': [short]},
    }
    for name, content in files.items():
        (notes / name).write_text(json.dumps(content))
    stem = 'full_scale_2fps_384_1+3x3_google--siglip-large-patch16-384'
    known = {uid: {'duration': 200.0, 'path': f'{stem}/{uid}.pt'} for uid in ('a', 'b', 'c')}
    (notes.parent / f'{stem}_metadata.json').write_text(json.dumps(known))
    return tmp_path
