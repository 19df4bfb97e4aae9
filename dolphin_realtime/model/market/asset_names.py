"""Which names an asset may have: they are shown in pages, tables and terminals. Pure.

Letters of any script, digits and ``_ . : -`` are allowed: venues do list names in Chinese. An asset
with another name keeps its place in the scan, under a name made from its own, and has no price: so
nothing is traded in it, and nothing that it might do to a reader is carried on.
"""

import re
import zlib
from typing import Final

LONGEST: Final = 40
UNNAMED: Final = "UNNAMED-"
_NAME: Final = re.compile(rf"[\w.:\-]{{1,{LONGEST}}}")
_NAMES: Final = re.compile(rf"(?:[\w.:\-]{{1,{LONGEST}}}\n)*+")

Prices = list[float | None]


def is_allowed(name: str) -> bool:
    """Return whether an asset may have this name."""
    return _NAME.fullmatch(name) is not None


def named(names: list[str], prices: Prices) -> tuple[list[str], Prices]:
    """Return names and prices with every name that is not allowed replaced, and its price None."""
    lines = "\n".join([*names, ""])
    if _NAMES.fullmatch(lines) and lines.count("\n") == len(names):
        return names, prices
    bad = [n for n, name in enumerate(names) if not is_allowed(name)]
    names, prices = list(names), list(prices)
    for n in bad:
        names[n] = f"{UNNAMED}{zlib.crc32(names[n].encode('utf-8', 'surrogatepass')):08x}"
        if n < len(prices):
            prices[n] = None
    return names, prices
