# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What one stream has decided but not fed yet: it goes in with whatever comes next.

A turn is closed only when the next one begins, so some ids always wait. Text waits as text since
the last special token and is tokenised as one run, which is how training tokenises it.
"""

from __future__ import annotations

from collections.abc import Sequence

from vlo_ros.events import Trigger
from vlo_ros.template import CLOSE_STREAM, OPEN_STREAM, USER, Template


class Pending:
    """Ids and text to be fed before the next frame or the next words of one stream."""

    def __init__(self, template: Template, protocol: str, system_prompt: str) -> None:
        """Stand before the system prompt.

        Args:
            template: The conversation format.
            protocol: The stream's setting; 'official' repeats what the published loop loses.
            system_prompt: First turn of the stream.
        """
        self._template = template
        self._official = protocol == 'official'
        self._ids: list[int] = []
        self._run = system_prompt + '\n'  # text since the last special token
        self._is_first_run = True
        self._stream_open = False

    def before_frame(self) -> tuple[list[int], bool]:
        """Ids to feed before the next frame, and whether it opens a run of frames."""
        if self._stream_open:
            return self._ids + self._template.interval_ids, False
        if self._ids and self._official and self._ids[-1] != self._template.eos_id:
            return list(self._ids), True  # a cut response is left open
        return self._ids + self._encode_run(OPEN_STREAM), True

    def before_words(self, ask: str, trigger: Trigger) -> list[int]:
        """Ids that end what is open and `ask` for a response; changes nothing."""
        if self._official and trigger is Trigger.QUERY:
            # The published loop drops whatever is pending and closes a stream, open or not.
            run = '' if self._is_first_run else self._run
            return self._template.encode((run or CLOSE_STREAM) + ask)
        closing = CLOSE_STREAM if self._stream_open else ''
        return self._ids + self._encode_run(closing + ask)

    def instruct(self, instruction: str) -> None:
        """Close the run of frames and say this, with no response to it."""
        self._run = CLOSE_STREAM + USER + self._template.plain(instruction)
        self._stream_open = False

    def end_with_frame(self) -> None:
        """A frame was fed last."""
        self._ids, self._run, self._is_first_run, self._stream_open = [], '', False, True

    def end_with_response(self, ids: Sequence[int]) -> None:
        """A prompt and all but the last of these ids, one or more, were fed last."""
        self._ids = list(ids[-1:])
        if not self._official:
            if list(ids) == [self._template.eos_id]:
                self._ids = [*self._template.empty_response_ids, *ids]
            elif ids[-1] != self._template.eos_id:
                self._ids = [*self._ids, self._template.eos_id]
        self._run, self._is_first_run, self._stream_open = '', False, False

    def _encode_run(self, text: str) -> list[int]:
        """Ids of the text not fed yet, `text` behind it; the first of all begins with bos."""
        if self._is_first_run:
            return self._template.encode(self._template.bos + self._run + text, first=True)
        return self._template.encode(self._run + text)
