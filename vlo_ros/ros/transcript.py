# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a stream: a transcript that scrolls, and below it what goes on now."""

from __future__ import annotations

import math
import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from vlo_ros import msg
from vlo_ros.events import NS_PER_S
from vlo_ros.message_header import to_ns
from vlo_ros.response_latency import has_meaning

BARS = ' ▁▂▃▄▅▆▇█'
NUM_BARS = 40
MAX_SILENCE = 600  # frames summed up in one line at most: five minutes at 2 fps
STATES = {
    msg.StreamStatus.STATE_INACTIVE: 'inactive',
    msg.StreamStatus.STATE_WATCHING: 'watching',
    msg.StreamStatus.STATE_RESPONDING: 'speaking',
    msg.StreamStatus.STATE_STALE: 'no images',
    msg.StreamStatus.STATE_FAILED: 'failed',
}


class Transcript:
    """Prints what is said, with times from the first frame on.

    Attributes:
        typed: The question that is being typed; set it before `draw`.
        extra: One more line at the bottom, '' for none.
    """

    def __init__(self, console: Console) -> None:
        """Print on `console`; the live part is drawn only if that is a terminal."""
        self.typed = ''
        self.extra = ''
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._start_ns: int | None = None
        self._silence: list[msg.Decision] = []
        self._bars = ''
        self._growing = ''
        self._status: msg.StreamStatus | None = None
        self._asked_at: dict[str, float] = {}  # monotonic s, by query_id
        self._num_finished = 0

    def __enter__(self) -> Transcript:
        """Begin the live part."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End it, with the last silence and the last extra line told."""
        self._tell_silence()
        self._live.stop()
        if self.extra:
            self._print(self.extra.strip())

    def seconds(self, message: msg.Response | msg.Decision) -> float:
        """Time of a message on the camera's clock, from the first frame, in s."""
        if self._start_ns is None:
            return 0.0
        return (to_ns(message.header.stamp) - self._start_ns) / NS_PER_S

    # -- what happens ----------------------------------------------------------------------

    def on_decision(self, decision: msg.Decision) -> None:
        """Show a verdict: silences are drawn as bars and summed up when they end."""
        if self._start_ns is None:
            self._start_ns = to_ns(decision.header.stamp)
        p_silence = decision.silence_probability
        bar = BARS[round(p_silence * (len(BARS) - 1))] if not math.isnan(p_silence) else '?'
        self._bars = (self._bars + bar)[-NUM_BARS:]
        if decision.verdict == msg.Decision.VERDICT_SILENT:
            self._silence.append(decision)
            if len(self._silence) == MAX_SILENCE:
                self._tell_silence()
        else:
            self._tell_silence()

    def on_partial(self, response: msg.Response) -> None:
        """Show a sentence that grows; its last words may come behind its end."""
        if response.sequence < self._num_finished:
            return
        self._growing = f'{self.seconds(response):7.1f} s  {response.text}'

    def on_response(self, response: msg.Response, mark: str = '') -> None:
        """Print a finished sentence; `mark` goes behind it."""
        self._tell_silence()
        self._growing = ''
        asked_at = self._asked_at.pop(response.query_id, None)
        if response.reason and not response.text:
            self._say(response, f'[red]no answer: {escape(response.reason)}[/]')
            return
        self._num_finished = response.sequence + 1
        cut = {
            msg.Response.STATE_TRUNCATED: ' [dim](cut at the limit)[/]',
            msg.Response.STATE_CANCELLED: ' [dim](stopped)[/]',
        }.get(response.state, '')
        if asked_at is None:
            colour, took = 'bold', latency_of(response)
        else:
            colour, took = 'green', f'answered in {_short(time.monotonic() - asked_at)}'
        text = f'[{colour}]{escape(response.text)}[/]{cut}'
        self._say(response, f'{text}  {mark}[dim]{took}[/]')

    def on_question(self, query_id: str, text: str) -> None:
        """Print a question that was asked here."""
        self._tell_silence()
        self._asked_at[query_id] = time.monotonic()
        self._print(f'[cyan]      you:  {escape(text)}[/]')

    def on_status(self, status: msg.StreamStatus) -> None:
        """Take the newest status."""
        self._status = status

    def note(self, line: str) -> None:
        """Print a line of our own."""
        self._print(line)

    # -- drawing ---------------------------------------------------------------------------

    def draw(self) -> None:
        """Draw the live part anew."""
        if self._live.is_started:
            self._live.update(self._live_part(), refresh=True)

    def _say(self, response: msg.Response, markup: str) -> None:
        self._print(f'{self.seconds(response):7.1f} s  {markup}')

    def _tell_silence(self) -> None:
        silence, self._silence = self._silence, []
        if not silence:
            return
        first, last = self.seconds(silence[0]), self.seconds(silence[-1])
        least = min(decision.silence_probability for decision in silence)
        until = f' to {last:.1f} s' if len(silence) > 1 else ''
        frames = 'frame' if len(silence) == 1 else 'frames'
        latency = max(_seconds(decision.latency) for decision in silence)
        self._print(
            f'[dim]{first:7.1f} s{until}  silent, {len(silence)} {frames}, p >= {least:.2f}, '
            f'decided within {_short(latency)}[/]'
        )

    def _print(self, markup: str) -> None:
        # In a file or a pipe a line stays a line, however long.
        is_terminal = self._console.is_terminal
        self._console.print(markup, highlight=False, soft_wrap=not is_terminal)

    def _live_part(self) -> RenderableType:
        lines = [Text(self._growing, 'italic')] if self._growing else []
        lines.append(Text(f'  silence {self._bars:>{NUM_BARS}}', 'blue'))
        if self._status is not None:
            status = status_line(self._status)
            lines.append(Text(status, 'dim', no_wrap=True, overflow='ellipsis'))
        if self.extra:
            lines.append(Text(self.extra, 'yellow'))
        lines.append(Text.assemble(('  ask > ', 'cyan'), self.typed, ('▌', 'cyan blink')))
        return Group(*lines)


def latency_of(response: msg.Response) -> str:
    """How long after the frame the first and the last token came."""
    stamp_ns = to_ns(response.header.stamp)
    first_ns = to_ns(response.first_token_stamp) - stamp_ns
    last_ns = to_ns(response.finished_stamp) - stamp_ns
    return f'{_short(first_ns / NS_PER_S)} to the first word, {_short(last_ns / NS_PER_S)} in all'


def status_line(status: msg.StreamStatus) -> str:
    """One line for people."""
    fill = status.cache_tokens / max(status.cache_capacity, 1)
    parts = [
        STATES[status.state],
        f'{status.fps_received:.0f} images/s',
        f'{status.fps_judged:.1f} judged/s',
        f'window {fill:.0%}',
        f'latency p95 {_short(status.decision_latency_p95)}',
    ]
    if status.backlog_frames:
        parts.append(f'backlog {status.backlog_frames}')
    if status.frames_dropped:
        parts.append(f'{status.frames_dropped} dropped')
    if status.last_error:
        parts.append(status.last_error)
    return '  ' + ' | '.join(parts)


def _seconds(duration) -> float:
    return duration.sec + duration.nanosec / NS_PER_S


def _short(seconds: float) -> str:
    if math.isnan(seconds) or not has_meaning(round(seconds * NS_PER_S)):
        return '-'
    return f'{seconds:.1f} s' if abs(seconds) >= 1 else f'{1000 * seconds:.0f} ms'
