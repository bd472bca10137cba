# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""eSpeak NG out of the package espeakng-loader, as a program: text on stdin, a WAV file out.

    echo 'Hello' | python -m vlo_ros.speech.espeak_child en 170 hello.wav

Only this process loads the GPL library; it is never imported by the rest of the package.
"""

from __future__ import annotations

import ctypes
import sys
import wave

SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
CHARS_UTF8 = 1
RATE = 1  # espeakRATE
SAMPLE_TYPE = ctypes.POINTER(ctypes.c_short)
Callback = ctypes.CFUNCTYPE(ctypes.c_int, SAMPLE_TYPE, ctypes.c_int, ctypes.c_void_p)


def speak(text: str, voice: str, words_per_minute: int, path: str) -> None:
    """Write `text` as speech to the WAV file `path`."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    sample_rate = library.espeak_Initialize(SYNCHRONOUS, 0, data, 0)
    if sample_rate <= 0:
        raise SystemExit(f'eSpeak NG found no data in {data.decode()}')
    if library.espeak_SetVoiceByName(voice.encode()):
        raise SystemExit(f'eSpeak NG has no voice {voice!r}')
    library.espeak_SetParameter(RATE, words_per_minute, 0)
    samples = bytearray()

    @Callback  # type: ignore[untyped-decorator]
    def collect(pointer: ctypes._Pointer[ctypes.c_short], count: int, events: object) -> int:
        if pointer and count > 0:
            samples.extend(ctypes.string_at(pointer, count * 2))
        return 0

    library.espeak_SetSynthCallback(collect)
    encoded = text.encode() + b'\0'
    library.espeak_Synth(encoded, len(encoded), 0, 1, 0, CHARS_UTF8, None, None)
    library.espeak_Synchronize()
    with wave.open(path, 'wb') as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(bytes(samples))


if __name__ == '__main__':
    speak(sys.stdin.read(), sys.argv[1], int(sys.argv[2]), sys.argv[3])
