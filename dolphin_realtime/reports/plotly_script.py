"""plotly's script, once beside the pages that draw with it, or inside a page that must stand alone."""

import os
from pathlib import Path
from typing import Final

from plotly import __version__
from plotly.offline import get_plotlyjs

from dolphin_realtime.infra import files

NAME: Final = f"plotly-{__version__}.min.js"
PLACE: Final = "<!-- plotly -->"
"""Where a page with plots has its script."""
LEVELS: Final = 5


def place(folder: Path) -> Path:
    """Write the script into a folder, unless it is there; return its path.

    Raises:
        OSError: If it cannot be written.
    """
    path = folder / NAME
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        files.replace(path, get_plotlyjs().encode())
    return path


def write_page(path: Path, page: str) -> None:
    """Write a page that draws with the script in its folder or above, else with one beside it.

    Raises:
        OSError: If it cannot be written.
    """
    if PLACE in page:
        page = page.replace(PLACE, f'<script src="{_address(path.parent)}"></script>')
    files.replace(path, page.encode())


def make_single(path: Path) -> None:
    """Put the script into a written page, so that the one file is all that is needed.

    Raises:
        OSError: If it cannot be read or written.
    """
    text = path.read_text()
    tag = f'<script src="{_address(path.parent)}"></script>'
    files.replace(path, text.replace(tag, f"<script>{get_plotlyjs()}</script>").encode())


def _address(folder: Path) -> str:
    """Return the script's address relative to a page's folder."""
    here = folder.absolute()
    for above in (here, *here.parents[:LEVELS]):
        if (above / NAME).is_file():
            return os.path.relpath(above / NAME, here)
    return place(here).name
