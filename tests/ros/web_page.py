# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo web` in a process of its own, and a browser without a screen."""

import contextlib
import http.client
import re
import shutil
import signal
import subprocess
import sys

import pytest


@contextlib.contextmanager
def web_server(*arguments):
    """Yield the port of a running server; it must end well when it is interrupted."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'vlo_ros', 'web', '--port', '0', *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    for line in iter(process.stderr.readline, ''):
        lines.append(line)
        if found := re.search(r'http://[^/]*:(\d+)', line):
            break
    else:
        raise AssertionError(f'it did not start: {"".join(lines)}')
    try:
        yield int(found.group(1))
    finally:
        process.send_signal(signal.SIGINT)
        try:
            _, rest = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
    assert (process.returncode, 'Traceback' in rest) == (0, False), rest


def request(port, path, method='GET', body=None, **headers):
    """One HTTP request with the path as it is; return status, headers and text."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    named = {name.replace('_', '-'): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode(errors='replace')
    finally:
        connection.close()


@contextlib.contextmanager
def browser(width=1280, height=800):
    """Chromium without a screen; skips the test where it is not installed."""
    selenium = pytest.importorskip('selenium.webdriver', reason='selenium is not installed')
    program = shutil.which('chromium') or shutil.which('google-chrome')
    driver_program = shutil.which('chromedriver')
    if not program or not driver_program:
        pytest.skip('chromium or chromedriver is not installed')
    options = selenium.ChromeOptions()
    options.binary_location = program
    for argument in ('--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars'):
        options.add_argument(argument)
    options.add_argument(f'--window-size={width},{height}')
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    driver = selenium.Chrome(options, selenium.ChromeService(driver_program))
    try:
        # The window has a frame even without a screen.
        inner = driver.execute_script('return [innerWidth, innerHeight]')
        driver.set_window_size(2 * width - inner[0], 2 * height - inner[1])
        yield driver
    finally:
        driver.quit()
