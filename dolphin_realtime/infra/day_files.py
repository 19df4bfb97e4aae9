"""Files and folders that are named by a UTC day, YYYY-MM-DD."""

from datetime import date
from pathlib import Path


def is_day(name: str) -> bool:
    """Return whether a name is a valid calendar day, YYYY-MM-DD."""
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False


def day_files(folder: Path, suffix: str) -> dict[str, Path]:
    """Return the files `<day><suffix>` of a folder by day, sorted."""
    found = sorted(folder.glob(f"????-??-??{suffix}"))
    return {p.name.removesuffix(suffix): p for p in found if is_day(p.name.removesuffix(suffix))}


def day_folders(scan_dir: Path) -> dict[str, Path]:
    """Return the day folders of a scan folder by day, sorted."""
    found = scan_dir.iterdir() if scan_dir.is_dir() else ()
    return {p.name: p for p in sorted(found) if is_day(p.name) and p.is_dir()}
