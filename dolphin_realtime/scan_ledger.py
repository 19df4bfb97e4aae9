"""The lines of the bridge's ledger: which scan files it has handled, and how.

Reading them back belongs here, for whoever must know what came in without touching the
scan folder, which may be a share that hangs. Writing them is the bridge's.
"""

from pathlib import Path

import msgspec

Stamp = tuple[int, int]


class Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One file that was handled: published with its order, or bad with a reason."""

    path: str
    stamp: Stamp
    epoch: int = 0
    scan_number: int = -1
    timestamp_us: int = 0
    seq: int = 0
    reason: str = ""


_decoder = msgspec.json.Decoder(Line)


def read_lines(path: Path) -> list[Line]:
    """Return the ledger's lines; a last line cut off by a crash is left out."""
    if not path.is_file():
        return []
    lines = []
    for raw in path.read_bytes().splitlines():
        try:
            lines.append(_decoder.decode(raw))
        except msgspec.DecodeError:
            continue
    return lines


def read_stamps(path: Path) -> dict[str, Stamp]:
    """Return the stamp of every file in the ledger."""
    return {line.path: line.stamp for line in read_lines(path)}


def ledger_path(run_dir: Path) -> Path:
    """Return where a stack's bridge keeps its ledger."""
    return run_dir / "bridge" / "seen.jsonl"
