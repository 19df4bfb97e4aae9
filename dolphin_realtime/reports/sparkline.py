"""A sparkline of equity for Dagster's asset pages, as SVG in a data URL."""

import base64
from collections.abc import Sequence
from typing import Final

WIDTH: Final = 320
HEIGHT: Final = 60
POINTS: Final = 160


def sparkline(values: Sequence[float]) -> str:
    """Return a Markdown inline image of ``values``, empty for fewer than two."""
    if len(values) < 2:
        return ""
    stride = max(1, len(values) // POINTS)
    drawn = [*values[:-1:stride], values[-1]]
    low, high = min(drawn), max(drawn)
    scale = (HEIGHT - 8) / (high - low) if high > low else 0.0
    points = " ".join(
        f"{4 + n * (WIDTH - 8) / (len(drawn) - 1):.1f},{HEIGHT - 4 - (v - low) * scale:.1f}"
        for n, v in enumerate(drawn)
    )
    colour = "#1a7f37" if drawn[-1] >= drawn[0] else "#b3261e"
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}'>"
        f"<polyline fill='none' stroke='{colour}' stroke-width='1.5' points='{points}'/></svg>"
    )
    data = base64.b64encode(svg.encode()).decode()
    return f"![equity](data:image/svg+xml;base64,{data})"
