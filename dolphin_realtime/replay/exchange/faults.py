"""How the venue misbehaves on request: by path and method, by event, by socket.

Which fault applies to what belongs here; carrying it out is the server's (server.py, streams.py).
"""

from typing import Any, Final

import msgspec

REQUEST_FAULTS: Final = {
    "code": "refuse with `code` before anything is done",
    "code_after": "do it, then answer with `code`",
    "status": "answer `status` with `body` before anything is done",
    "status_after": "do it, then answer `status` with `body`",
    "late": "answer `status` at once and do it after `seconds`",
    "hang": "wait `seconds`, then do it and answer",
    "silence": "do it, and answer after `seconds`",
    "cut": "cut the connection before anything is done",
    "cut_after": "do it, then cut the connection",
}
EVENT_FAULTS: Final = {
    "lose": "an event is not sent",
    "double": "an event is sent twice",
    "delay": "an event is sent after `seconds`",
    "trade_first": "an order's NEW is sent after its first trade",
}
PARTS: Final = ("rest", "stream", "ws_api")
EVENTS: Final = "events"


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One fault.

    Attributes:
        kind: A name of REQUEST_FAULTS or EVENT_FAULTS.
        path: The path whose requests fail, * for any; ``events`` for the user stream.
        method: The method, * for any.
        after: So many that would fail pass first.
        times: So many fail.
        event: For events: which, * for any.
    """

    kind: str
    path: str = "*"
    method: str = "*"
    after: int = 0
    times: int = 1
    code: int = -1000
    status: int = 503
    body: str = ""
    seconds: float = 1.0
    event: str = "*"


class Faults:
    """The faults that are set, and the parts that are away.

    Attributes:
        away: Of PARTS, what refuses every connection.
        offset_ms: Added to the venue's clock.
        hidden_s: For so long after it was placed an order is not found by a question.
        is_deaf: Whether a dead listen key leaves its socket open and says nothing.
        keeps_open: Whether it says so and leaves the socket open all the same.
        taken: How many requests and events failed.
    """

    def __init__(self) -> None:
        self._set: list[Fault] = []
        self.away: set[str] = set()
        self.offset_ms = 0
        self.hidden_s = 0.0
        self.is_deaf = self.keeps_open = False
        self.taken = 0

    def add(self, fields: dict[str, Any]) -> Fault:
        """Set a fault.

        Raises:
            ValueError: If a field or the kind is unknown.
        """
        fault = msgspec.convert(fields, Fault)
        if fault.kind in EVENT_FAULTS:
            fault.path = EVENTS
        elif fault.kind not in REQUEST_FAULTS:
            raise ValueError(f"no fault {fault.kind!r}")
        self._set.append(fault)
        return fault

    def clear(self) -> None:
        """End all faults."""
        self.__init__()  # type: ignore[misc]

    def of_request(self, method: str, path: str) -> Fault | None:
        """Return the fault of a request, and count it."""
        return self._take(lambda f: f.path in ("*", path) and f.method in ("*", method))

    def of_event(self, event: str) -> Fault | None:
        """Return the fault of an event, and count it."""
        return self._take(lambda f: f.path == EVENTS and f.event in ("*", event))

    def _take(self, is_meant: Any) -> Fault | None:
        for fault in self._set:
            if not is_meant(fault):
                continue
            if fault.after:
                fault.after -= 1
                continue
            self.taken += 1
            fault.times -= 1
            if not fault.times:
                self._set.remove(fault)
            return fault
        return None
