"""Mutations of valid documents and files: small enough that many still pass the parser."""

import copy
from collections.abc import Callable

import msgspec

Choose = Callable[[int], int]
"""Returns a number in [0, n)."""

NASTY = (
    None, True, "", "NaN", "1e309", "x" * 300, "\ud7ff", -1, 0, 1, 2**63, -(2**63), 1e308, -1e308,
    1e-320, 5e-324, -0.0, 0.5, [], {}, [None], {"": None}, "2026-01-01T00:00:00+00:00",
    "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00Z", "2024-08-07T12:00:00",
)  # fmt: skip


def paths(node: object, at: tuple = ()) -> list[tuple]:
    """Return every path to a value inside a document."""
    found = []
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        found.append((*at, key))
        if isinstance(value, dict | list):
            found += paths(value, (*at, key))
    return found


def mutate(document: dict, known: list[tuple], choose: Choose, most: int = 3) -> dict:
    """Return the document with one to ``most`` values changed, scaled, doubled or removed."""
    changed = msgspec.msgpack.decode(msgspec.msgpack.encode(document))
    for _ in range(1 + choose(most)):
        path = known[choose(len(known))]
        try:
            parent = changed
            for key in path[:-1]:
                parent = parent[key]
            _change(parent, path[-1], choose)
        except (KeyError, IndexError, TypeError):
            continue
    return changed


def _change(parent, key, choose: Choose) -> None:
    value, kind = parent[key], choose(8)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == 7:
        del parent[key]
    elif kind <= 5 and is_number:
        parent[key] = value * (0.0, -1.0, 0.5, 1.0001, 3.0, 1e6, 1e-6)[choose(7)]
    elif kind <= 5 and isinstance(value, str) and value:
        at = choose(len(value))
        parent[key] = value[:at] + value[at + 1 :] if choose(4) == 0 else value
    elif kind == 6 and isinstance(value, list) and value:
        value.append(copy.deepcopy(value[choose(len(value))]))
    else:
        parent[key] = copy.deepcopy(NASTY[choose(len(NASTY))])


def flip(data: bytes, choose: Choose) -> bytes:
    """Return bytes with a few changed, cut off or doubled."""
    changed = bytearray(data)
    for _ in range(1 + choose(2)):
        at = choose(len(changed)) if changed else 0
        kind = choose(30)
        if kind == 29:
            del changed[at:]
        elif kind == 28 and changed:
            changed[at:at] = changed[at : at + 1 + choose(16)]
        elif changed:
            changed[at] = choose(256)
    return bytes(changed)
