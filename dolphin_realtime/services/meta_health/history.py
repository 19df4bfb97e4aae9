"""The health history: a line at each change of a word, and a summary line every 720 turns."""

from collections import Counter
from statistics import median
from typing import Final, Literal

import msgspec

from dolphin_realtime.model.health.scores import HealthDocument
from dolphin_realtime.runtime.service_context import ServiceContext
from dolphin_realtime.services.meta_health.files import HistoryLine, append_history, history_path

HOUR_TURNS: Final = 720


class HealthHistory:
    """Writes the health history of one stack; `turn` is called once per turn."""

    def __init__(self, context: ServiceContext) -> None:
        self._context, self._path = context, history_path(context.settings)
        self._turn = 0
        self._words: dict[str, str] = {}
        self._status: str | None = None
        self._statuses: Counter[str] = Counter()
        self._turn_ms: list[float] = []
        self._acted_before = 0

    def turn(
        self, document: HealthDocument, words: dict[str, str], turn_ms: float, acted: int
    ) -> None:
        """Add a turn; lines that cannot be written, e.g. on a full disk, are lost and counted."""
        self._turn += 1
        self._statuses[document.status] += 1
        self._turn_ms.append(turn_ms)
        changed = {key: word for key, word in words.items() if self._words.get(key) != word}
        changed |= {key: "gone" for key in self._words if key not in words}
        if self._status is None:
            self._write(self._line(document, "start"))
        elif changed or document.status != self._status:
            line = self._line(document, "change")
            self._write(msgspec.structs.replace(line, changed=changed))
        if document.status != self._status:
            self._log(document, changed)
        self._words, self._status = words, document.status
        if self._turn % HOUR_TURNS == 0:
            self._hour(document, acted)

    def _hour(self, document: HealthDocument, acted: int) -> None:
        spent = {"median": round(median(self._turn_ms), 2), "max": round(max(self._turn_ms), 2)}
        line = msgspec.structs.replace(
            self._line(document, "hour"),
            statuses=dict(self._statuses),
            actions=acted - self._acted_before,
            turn_ms=spent,
        )
        self._write(line)
        self._acted_before = acted
        self._statuses.clear()
        self._turn_ms.clear()

    def _line(
        self, document: HealthDocument, kind: Literal["start", "change", "hour"]
    ) -> HistoryLine:
        return HistoryLine(
            at=document.timestamp,
            turn=self._turn,
            kind=kind,
            status=document.status,
            rm_meta=document.rm_meta,
        )

    def _write(self, line: HistoryLine) -> None:
        try:
            append_history(self._path, line)
        except OSError as e:
            self._context.count_rejection("history_unwritten", why=str(e))

    def _log(self, document: HealthDocument, changed: dict[str, str]) -> None:
        self._context.log.info(
            "meta_health.status",
            status=document.status.value,
            rm_meta=document.rm_meta,
            changed=changed,
        )
