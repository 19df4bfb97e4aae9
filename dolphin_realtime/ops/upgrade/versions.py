"""Where versions are read from: what is installed, a commit of the checkout, a wheel."""

import subprocess
import zipfile
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
            names = wheel.namelist()
            (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
            name = HeaderParser().parsestr(wheel.read(metadata).decode())["Version"]
            texts = {w: wheel.read(f"{_FOLDER}/{file}").decode() for w, file in FILES.items()}
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as e:
        raise ServiceError(f"{path} is no wheel of Dolphin that can be compared: {e}") from e
    return Version(name=str(name), **texts)


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
    texts = {what: _git(checkout, "show", f"{commit}:{name}") for what, name in IN_CHECKOUT.items()}
    described = _git(checkout, "describe", "--always", "--tags", commit)
    later = _git(checkout, "rev-list", "--count", f"HEAD..{commit}")
    return Version(name=f"{commit} ({described}, {later} commits that are not here)", **texts)


def _git(checkout: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *words],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as e:
        raise ServiceError(f"git {' '.join(words)}: {e}") from e
    if done.returncode != 0:
        raise ServiceError(f"git {' '.join(words)}: {done.stderr.strip()[-300:]}")
    return done.stdout.strip()
