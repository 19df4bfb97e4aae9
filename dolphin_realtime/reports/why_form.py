"""The form on a day's report that asks why a decision was made (`dolphin why`, in the browser)."""

import html
import os
from pathlib import Path


def why_form(instance: str, day: str, folder: Path, root: Path) -> str:
    """Return the form of a page in ``folder``; the UI answers it below its reports' ``root``."""
    hidden = "".join(
        f"<input type='hidden' name='{name}' value='{html.escape(value)}'>"
        for name, value in (("instance", instance), ("day", day))
    )
    back = os.path.relpath(root.absolute(), folder.absolute())
    return (
        f"<form action='{html.escape(back)}/why' method='get'><h2>Why?</h2>{hidden}"
        "<input name='time' placeholder='12:00:00' required> "
        "<input name='asset' placeholder='BTCUSDT' required> "
        "<button>explain the decision</button> <span class='quiet'>In the Dagster UI; at a "
        f"terminal: dolphin why {html.escape(day)} TIME ASSET --instance {html.escape(instance)}"
        "</span></form>"
    )
