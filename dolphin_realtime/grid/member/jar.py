"""The member's jar: found or fetched, always checked against the pinned SHA-256.

The jar's sources belong here; starting the member does not (member.py).
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dolphin_realtime.infra import files
from dolphin_realtime.model.errors import MemberError

VERSION: Final = "5.7.0"
SHA256: Final = "241ec66cea8491787f68c3336f069ac463877af50bdb7676cd9d538f1940dc33"
PATH_IN_REPOSITORY: Final = f"com/hazelcast/hazelcast/{VERSION}/hazelcast-{VERSION}.jar"
_MVN_COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_TIMEOUT_S: Final = 300


def cache_dir() -> Path:
    """Return the user's cache folder, which all checkouts share."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "dolphin"


def cached_jar(folder: Path) -> Path:
    """Return where the jar lies in a cache folder."""
    return folder / "hazelcast" / VERSION / f"hazelcast-{VERSION}.jar"


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def verify(path: Path) -> Path:
    """Return ``path`` if it is the pinned jar.

    Raises:
        MemberError: If it is missing or has another digest.
    """
    if not path.is_file():
        raise MemberError(f"no Hazelcast jar at {path}; unset DOLPHIN_HAZELCAST_JAR to fetch one")
    digest = digest_of(path)
    if digest != SHA256:
        raise MemberError(
            f"{path} is refused: its SHA-256 is {digest}, the pinned hazelcast-{VERSION}.jar has "
            f"{SHA256}; delete the file or point DOLPHIN_HAZELCAST_JAR at the right one"
        )
    return path


def ensure_jar(given: str = "", maven_base: str = "") -> Path:
    """Return a verified jar: the given one, the cached one, or a fetched one.

    Args:
        given: A path that must be the jar; nothing else is tried.
        maven_base: Base address of a Maven repository that replaces mvn.

    Raises:
        MemberError: If the jar is wrong, or every source failed; the message lists them.
    """
    if given:
        return verify(Path(given))
    cached = cached_jar(cache_dir())
    if cached.is_file():
        return verify(cached)
    tried = []
    for name, source in _sources(maven_base):
        with tempfile.TemporaryDirectory(prefix="dolphin-jar-") as scratch:
            try:
                return install_jar(source(Path(scratch)), cached)
            except MemberError as e:
                tried.append(f"{name}: {e}")
    raise MemberError(
        "the Hazelcast jar could not be had; tried\n  "
        + "\n  ".join(tried)
        + "\nset DOLPHIN_MAVEN_BASE to the address of a Maven repository, or DOLPHIN_HAZELCAST_JAR to "
        f"the file hazelcast-{VERSION}.jar"
    )


def _sources(maven_base: str) -> list[tuple[str, Callable[[Path], Path]]]:
    if maven_base:
        return [("DOLPHIN_MAVEN_BASE", lambda scratch: _download(maven_base, scratch))]
    return [
        (
            "local Maven repository",
            lambda _: verify(Path.home() / ".m2/repository" / PATH_IN_REPOSITORY),
        ),
        ("mvn", _by_mvn),
    ]


def install_jar(jar: Path, cached: Path) -> Path:
    """Copy a verified jar into a cache, atomically, and return the copy.

    Raises:
        MemberError: If it is not the pinned jar.
    """
    verify(jar)
    cached.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(cached) as partial:
        shutil.copyfile(jar, partial)
    return cached


def _by_mvn(scratch: Path) -> Path:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise MemberError("not on PATH")
    command = [mvn, "-B", "-q", "-C", _MVN_COPY]
    command += [f"-Dartifact=com.hazelcast:hazelcast:{VERSION}", f"-DoutputDirectory={scratch}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise MemberError(str(e)) from e
    if done.returncode != 0:
        raise MemberError(f"exit {done.returncode}: {done.stdout.strip()[-300:]}")
    return scratch / f"hazelcast-{VERSION}.jar"


def _download(maven_base: str, scratch: Path) -> Path:
    target = scratch / f"hazelcast-{VERSION}.jar"
    address = f"{maven_base.rstrip('/')}/{PATH_IN_REPOSITORY}"
    try:
        with urllib.request.urlopen(address, timeout=60) as response, target.open("wb") as f:  # noqa: S310
            shutil.copyfileobj(response, f)
    except (OSError, ValueError, urllib.error.URLError) as e:
        raise MemberError(f"{address}: {e}") from e
    return target
