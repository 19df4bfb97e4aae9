"""What an indicator's fetch works with: its source, the market time, the assets to ask for.

Requests and typed decoding meet here; every error names the source, the field and the value.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from dolphin_dagster.sources import answers
from dolphin_dagster.sources.http import Answer, Http
from dolphin_realtime.model.errors import SourceFormatChanged, SourceUnavailable

REFUSED_MAX: Final = 0.2
"""Up to this share of an answer's assets may be refused, as one that is being delisted is; more
than this means that the answer's format changed."""
FREE: Final = 100
PACE_S: Final = 0.6
"""Pause before each request after a run's first hundred, as in a backfill of many assets:
Binance allows 500 requests for history in five minutes."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """A value as a source said it.

    Attributes:
        known_at: When it became known; None: now.
        percentile_90: 90th percentile of its own last 30 days, if known.
        interval_h: Hours since the previous settlement, of a past funding rate.
        next_time: When a funding rate is settled next.
    """

    name: str
    value: float
    event_time: datetime
    asset: str | None = None
    known_at: datetime | None = None
    percentile_90: float | None = None
    interval_h: float | None = None
    next_time: datetime | None = None


class Ask:
    """One indicator's requests in one run.

    Attributes:
        now: The market time before the first request.
        assets: Assets of the newest scan.
        symbols: Assets of the per-symbol factors.
        history: Folder of the readings so far.
        simulated: How the answers were simulated, None if they are real.
        left_out: Why single assets were refused while the others were accepted.
        n_others: Rows of the last list that were not asked for.
    """

    def __init__(
        self,
        http: Http,
        now: datetime,
        assets: Callable[[], list[str]],
        symbols: list[str],
        history: Path,
    ) -> None:
        self._http, self._assets = http, assets
        self.now, self.symbols, self.history = now, symbols, history
        self.simulated: str | None = None
        self.left_out: list[str] = []
        self.n_others = 0
        self._asked = 0

    @property
    def assets(self) -> list[str]:
        """Assets of the newest scan.

        Raises:
            SourceUnavailable: If there is none.
        """
        found = self._assets()
        if not found:
            raise SourceUnavailable("no scan in the grid yet, so no assets to ask for")
        return found

    def json[T](self, path: str, kind: type[T], **params: Any) -> T:
        """Return a JSON answer as the type that was agreed.

        Raises:
            SourceUnavailable: If there is no answer.
            SourceFormatChanged: If it is of another shape.
        """
        return answers.decode(self.where(path), self._get(path, params).body, kind)

    def rows[T](
        self, path: str, kind: type[T], **params: Any
    ) -> tuple[dict[str, T], dict[str, SourceFormatChanged]]:
        """Return a JSON list's rows of the newest scan's assets, and those that cannot be read.

        Raises:
            SourceUnavailable: If there is no answer, or nothing in it.
            SourceFormatChanged: If it is not a list, or no row of an asset can be read.
        """
        wanted, body = frozenset(self.assets), self._get(path, params).body
        found, refused, n_others = answers.rows(self.where(path), body, kind, wanted)
        if refused and not found:
            raise next(iter(refused.values()))
        if not (found or n_others):
            raise self.nothing(path, "the list is empty")
        self.n_others = n_others
        return found, refused

    def text(self, path: str, **params: Any) -> str:
        """Return an answer as text; raises as `json` does."""
        body = self._get(path, params).body
        try:
            return body.decode()
        except UnicodeDecodeError as e:
            raise SourceFormatChanged(f"{self.where(path)}: body is not text: {e}") from e

    def _get(self, path: str, params: Mapping[str, Any]) -> Answer:
        self._asked += 1
        if self._asked > FREE:
            time.sleep(PACE_S)
        answer = self._http.get(path, params)
        self.simulated = self.simulated or answer.simulated
        return answer

    def learn_limit(self) -> None:
        """Read the host's own request-weight limit before it is asked."""
        self._http.learn_limit()

    def where(self, path: str) -> str:
        """Return a source's name for messages."""
        return f"{self._http.name}{path}"

    def number(self, path: str, field: str, text: str) -> float:
        """Return the number in a text; raises SourceFormatChanged."""
        return answers.number(self.where(path), field, text)

    def milliseconds(self, path: str, field: str, value: str | float) -> datetime:
        """Return the instant of milliseconds since 1970; raises SourceFormatChanged."""
        return answers.instant(self.where(path), field, value, 1e-3, self.now)

    def seconds(self, path: str, field: str, value: str | float) -> datetime:
        """Return the instant of seconds since 1970; raises SourceFormatChanged."""
        return answers.instant(self.where(path), field, value, 1.0, self.now)

    def changed(self, path: str, field: str, value: object, expected: str) -> SourceFormatChanged:
        """Return the error of a value that is not as agreed."""
        return SourceFormatChanged(f"{self.where(path)}: {field} is {value!r}: expected {expected}")

    def nothing(self, path: str, what: str) -> SourceUnavailable:
        """Return the error of an answer with nothing in it."""
        return SourceUnavailable(f"{self.where(path)}: {what}")
