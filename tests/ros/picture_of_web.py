# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Takes docs/images/web.png: the page beside the demo, after a while and a question.

./dev run python -m tests.ros.picture_of_web docs/images/web.png [SECONDS] [DEMO ARGUMENTS]
"""

import subprocess
import sys
import time

from tests.ros.web_page import browser, web_server

QUESTION_AT_S = 0.7  # of the time


def main(path, seconds=60.0, *demo_arguments):
    """Watch the demo for `seconds`, ask one question, and keep what is seen."""
    demo = subprocess.Popen(
        [sys.executable, '-m', 'vlo_ros.ros.demo', *demo_arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        with web_server() as port, browser() as driver:
            driver.get(f'http://127.0.0.1:{port}/')
            begin = wait_for(driver, '.line.remark', 300)
            while time.monotonic() < begin + QUESTION_AT_S * float(seconds):
                time.sleep(0.5)
            driver.find_element('id', 'question').send_keys('Where am I?\n')
            wait_for(driver, '.line.answer', 60)
            while time.monotonic() < begin + float(seconds):
                time.sleep(0.5)
            driver.save_screenshot(path)
    finally:
        demo.terminate()
        demo.wait()


def wait_for(driver, selector, timeout_s):
    """Wait until there is such an element; return when that was, monotonic s."""
    end = time.monotonic() + timeout_s
    while not driver.find_elements('css selector', selector):
        if time.monotonic() > end:
            raise TimeoutError(f'no {selector} in {timeout_s} s')
        time.sleep(0.2)
    return time.monotonic()


if __name__ == '__main__':
    main(*sys.argv[1:])
