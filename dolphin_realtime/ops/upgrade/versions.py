"""Where versions are read from: what is installed, a commit of the checkout, a wheel."""

import re
import subprocess
import zipfile
import zlib
from email.parser import HeaderParser
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Final

from dolphin_realtime import PACKAGE
from dolphin_realtime.model.errors import ServiceError
from dolphin_realtime.ops.upgrade.comparison import Version

FILES: Final = {"changes": "CHANGELOG.md", "settings": "settings.md", "lock": "requirements.lock"}
IN_CHECKOUT: Final = {**FILES, "settings": "docs/settings.md"}
MOST_BYTES: Final = 8 << 20
_FOLDER: Final = "dolphin_realtime/ops/upgrade"


def installed() -> Version:
    """Return the version that runs this."""
    folder = files("dolphin_realtime.ops.upgrade")
    texts = {what: folder.joinpath(name).read_text() for what, name in FILES.items()}
    return Version(name=version(PACKAGE), **texts)


def of_wheel(path: Path) -> Version:
    """Return the version that a wheel holds.

    Raises:
        ServiceError: If it is no wheel of Dolphin, or one from before there was this command.
    """
    try:
        with zipfile.ZipFile(path) as wheel:
            names = [n for n in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)]
            said = HeaderParser().parsestr(_text(wheel, names[0] if names else "METADATA"))
            name, is_ours = said["Version"], said["Name"] == PACKAGE
            texts = {w: _text(wheel, f"{_FOLDER}/{file}") for w, file in FILES.items()}
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, KeyError, ValueError) as e:
        raise ServiceError(f"{path} is no wheel of Dolphin that can be compared: {e}") from e
    if not (name and is_ours):
        raise ServiceError(f"{path} is no wheel of Dolphin: it is {said['Name']} {name}")
    return Version(name=str(name), **texts)


def _text(wheel: zipfile.ZipFile, name: str) -> str:
    if wheel.getinfo(name).file_size > MOST_BYTES:
        raise ValueError(f"{name} has more than {MOST_BYTES} bytes")
    return wheel.read(name).decode()


def of_commit(checkout: Path, commit: str) -> Version:
    """Return the version at a commit, a branch or a tag of a checkout.

    Args:
        checkout: The checkout.
        commit: Which; empty: the newest of the branch that this one follows, fetched first.

    Raises:
        ServiceError: If git has none, or the remote does not answer.
    """
    if not commit:
        _git(checkout, "fetch", "--quiet", "--tags")
        try:
            commit = _git(checkout, "rev-parse", "--abbrev-ref", "@{upstream}")
        except ServiceError as e:
            raise ServiceError(f"name a commit, a tag or a branch: {e}") from e
    if commit.startswith("-"):
        raise ServiceError(f"{commit!r} is no commit, tag or branch")
    found = _git(
        checkout, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}"
    )
    texts = {what: _git(checkout, "show", f"{found}:{name}") for what, name in IN_CHECKOUT.items()}
    described = _git(checkout, "describe", "--always", "--tags", found)
    behind, ahead = _git(checkout, "rev-list", "--left-right", "--count", f"HEAD...{found}").split()
    lacks = f", {behind} of here are not there: a step back" if behind != "0" else ""
    return Version(
        name=f"{commit} ({described}, {ahead} commits that are not here{lacks})", **texts
    )


def _git(checkout: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *words],
            capture_output=True, text=True, timeout=60, check=False, errors="replace",
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired) as e:
        raise ServiceError(f"git {' '.join(words)}: {e}") from e
    if done.returncode != 0:
        said = done.stderr.strip()[-300:] or "there is no such commit, tag or branch"
        raise ServiceError(f"git {' '.join(words)}: {said}")
    return done.stdout.strip()
