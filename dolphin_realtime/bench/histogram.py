"""A benchmark's distributions as one small SVG: a row a stage, on a common logarithmic axis."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

BINS_A_DECADE: Final = 24
ROW, HEIGHT, LEFT, WIDTH, TOP = 64, 44, 190, 640, 34
BAR: Final = "#4c78a8"
INK: Final = "#333"


def histograms(title: str, samples_us: Mapping[str, Sequence[float]]) -> str:
    """Return an SVG of each name's samples, in microseconds; p50 and p99 are written beside it."""
    every = [v for values in samples_us.values() for v in values]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    bottom = TOP + ROW * len(samples_us)
    parts = [f'<text x="8" y="18" font-size="14" font-weight="bold">{escape(title)}</text>']
    for decade in range(low, high + 1):
        x = LEFT + WIDTH * (decade - low) / (high - low)
        parts.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{TOP}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{x:.0f}" y="{bottom + 16}" text-anchor="middle">{_time(decade)}</text>'
        )
    for row, (name, values) in enumerate(samples_us.items()):
        parts += _row(name, values, TOP + ROW * row, low, high)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 130}" height="{bottom + 26}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _time(decade: int) -> str:
    us = 10**decade
    return f"{us // 1000} ms" if us >= 1000 else f"{us} µs"


def _row(name: str, values: Sequence[float], top: int, low: int, high: int) -> list[str]:
    n_bins = (high - low) * BINS_A_DECADE
    counts = [0] * n_bins
    for value in values:
        counts[min(n_bins - 1, int((math.log10(value) - low) * BINS_A_DECADE))] += 1
    most, width, base = max(counts), WIDTH / n_bins, top + HEIGHT + 10
    ordered = sorted(values)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.99))
    parts = [
        f'<text x="8" y="{base - 16}">{escape(name)}</text>',
        f'<text x="{LEFT + WIDTH + 8}" y="{base - 20}">p50 {p50:,.0f} µs</text>',
        f'<text x="{LEFT + WIDTH + 8}" y="{base - 4}">p99 {p99:,.0f} µs</text>',
        f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{base}" y2="{base}" stroke="#999"/>',
    ]
    bars = [
        f"M{LEFT + i * width:.1f} {base}v-{HEIGHT * n / most:.1f}h{width:.1f}V{base}z"
        for i, n in enumerate(counts)
        if n
    ]
    return [*parts, f'<path d="{"".join(bars)}" fill="{BAR}"/>']
