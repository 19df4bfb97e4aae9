"""The member's classes as Java has parsed them once: with them a member is ready in half the time.

Java writes such an archive when a member stops (class data sharing, JEP 350); the next ones map it.
It belongs to one jar and one Java, and is used only if nobody else could have written it. Java
itself ignores an archive that does not fit.
"""

import hashlib
import os
from pathlib import Path
from typing import Final

SILENT: Final = "-Xlog:cds*=off"
"""Java lists each class that it leaves out; none of that is for an operator."""

_NAME: Final = "classes-"


class ClassArchive:
    """The archive of a jar's classes for one Java, beside the jar, or in a folder that may be written."""

    def __init__(self, jar: Path, java: Path, else_in: Path) -> None:
        identity = [(p.stat().st_size, p.stat().st_mtime_ns) for p in (java, jar)]
        made_of = repr([str(java.resolve()), identity])  # Java, too, compares the jar's time
        folder = jar.parent if os.access(jar.parent, os.W_OK) else else_in
        self._file = folder / f"{_NAME}{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.jsa"
        self._partial = self._file.with_suffix(f".{os.getpid()}.made")

    @property
    def is_there(self) -> bool:
        """Whether it can be used: nobody but this user, or root, may have written it."""
        try:
            found = self._file.stat()
        except OSError:
            return False
        return found.st_uid in (os.getuid(), 0) and not found.st_mode & 0o022

    def flags(self) -> list[str]:
        """Return the options that use the archive or, if there is none, have it written."""
        if self.is_there:
            return [f"-XX:SharedArchiveFile={self._file}", SILENT]
        if not os.access(self._file.parent, os.W_OK):
            return []
        return [f"-XX:ArchiveClassesAtExit={self._partial}", SILENT]

    def keep(self, *, is_whole: bool) -> None:
        """Keep what a member wrote when it stopped; drop it if the member did not end by itself."""
        if not is_whole or not self._partial.exists():
            self._partial.unlink(missing_ok=True)
            return
        self._partial.replace(self._file)
        for other in {*self._file.parent.glob(f"{_NAME}*.jsa")} - {self._file}:  # of another Java
            other.unlink(missing_ok=True)
