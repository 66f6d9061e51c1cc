"""`python -m docs.demo_picture`: plays the demo and draws what it showed, for the README."""

from __future__ import annotations

import asyncio
import io
import re
from unittest.mock import patch

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from cli.demo import ending, playing
from cli.demo.view import RichView
from cli.embedded.home import Home
from docs.generate import FOLDER

WIDTH = 118
PICTURE = FOLDER / "images" / "demo.svg"


def main() -> None:
    """Takes half a minute."""
    # The live view draws over itself; only its last picture is kept.
    view = RichView(Console(file=io.StringIO(), force_terminal=True, width=WIDTH))
    with Home.temporary() as home, view:
        ended = asyncio.run(playing.play(playing.demo_settings(home), view))
    paper = Console(file=io.StringIO(), record=True, force_terminal=True, width=WIDTH)
    paper.print(view._render())
    with patch.object(ending, "console", lambda: paper):
        ending.show(ended)
    # Fonts of this machine: a picture must not fetch anything.
    own_fonts = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    PICTURE.write_text(paper.export_svg(title="make demo", code_format=own_fonts, unique_id="demo"), encoding="utf-8")


if __name__ == "__main__":
    main()
