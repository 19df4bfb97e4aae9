"""Replacing a small file whole, so that a reader sees the old one or the new one and nothing else."""

from pathlib import Path


def replace_whole(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write a file beside ``path`` and rename it over it; the folder is there.

    With a mode the file has it whatever the umask. It is not synced: a machine that loses its power
    may keep the old one.
    """
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    if mode is not None:
        partial.chmod(mode)
    partial.replace(path)
