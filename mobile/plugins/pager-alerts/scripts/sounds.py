"""Makes the app's sounds, so that they are ours and nobody has to trust a file: `python -m` it in its folder.

Each is a few sine tones with soft edges: mono, 16 bits, 16 kHz; WAV for Android, CAF for iOS (Apple, "Core Audio Format
Specification 1.0"), where a notification's sound may last 30 s.
"""

from __future__ import annotations

import io
import math
import struct
import wave
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

RATE: Final = 16_000
PLUGIN: Final = Path(__file__).resolve().parent.parent
MOBILE: Final = PLUGIN.parent.parent


class Tone(NamedTuple):
    """`hertz` None is silence."""

    hertz: float | None
    seconds: float


KNOCK: Final = (Tone(1047, 0.14), Tone(None, 0.08), Tone(1319, 0.22), Tone(None, 0.3))
ALARM: Final = (Tone(988, 0.16), Tone(1480, 0.16), Tone(988, 0.16), Tone(1480, 0.16), Tone(None, 0.12))

FILES: Final = {
    PLUGIN / "android/src/main/res/raw/page.wav": ("wav", KNOCK * 2),
    PLUGIN / "android/src/main/res/raw/page_critical.wav": ("wav", ALARM * 5),
    MOBILE / "ios/App/App/page.caf": ("caf", ALARM * 6),
}


def samples(tones: Iterable[Tone]) -> Sequence[int]:
    """16-bit samples. Each tone has its second octave in it, which small loudspeakers carry better than the first."""
    made: list[int] = []
    for hertz, seconds in tones:
        count = round(seconds * RATE)
        edge = max(1, min(count // 4, RATE // 100))
        for at in range(count):
            if hertz is None:
                made.append(0)
                continue
            phase = 2 * math.pi * hertz * at / RATE
            shape = min(1.0, at / edge, (count - 1 - at) / edge)
            made.append(round(32_767 * 0.8 * shape * (0.7 * math.sin(phase) + 0.3 * math.sin(2 * phase))))
    return made


def wav(tones: Iterable[Tone]) -> bytes:
    whole = samples(tones)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{len(whole)}h", *whole))
    return out.getvalue()


def caf(tones: Iterable[Tone]) -> bytes:
    whole = samples(tones)
    described = struct.pack(">d4sIIIII", float(RATE), b"lpcm", 0, 2, 1, 1, 16)
    data = struct.pack(">I", 0) + struct.pack(f">{len(whole)}h", *whole)
    chunks = ((b"desc", described), (b"data", data))
    return b"caff" + struct.pack(">HH", 1, 0) + b"".join(struct.pack(">4sq", n, len(c)) + c for n, c in chunks)


def made() -> dict[Path, bytes]:
    """What each file has to hold."""
    make = {"wav": wav, "caf": caf}
    return {path: make[form](tones) for path, (form, tones) in FILES.items()}


if __name__ == "__main__":
    for path, content in made().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
