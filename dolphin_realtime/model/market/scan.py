"""One eigen scan of the market, as NG6 writes it and as the grid carries it.

The record, its wire document and the sequence of scans belong here; reading files does not
(scans/files.py), nor does deciding to trade (model/signal/). Prices are quote per unit of base;
instants are whole microseconds since the Unix epoch, UTC.
"""

import math
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

from dolphin_realtime.model.errors import ScanOutOfOrder, ScanSchemaError
from dolphin_realtime.model.instant import Aware, from_us, to_us

BRIDGE_SOURCE: Final = "scan_bridge"
CLOCK_AHEAD_US: Final = 300 * 1_000_000
MAX_JUMP_US: Final = 7 * 86_400 * 1_000_000
MAX_EPOCH_STEP: Final = 1000
"""An epoch further ahead than this means a wrong document, not a restart of NG6."""


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """One scan over all assets at one instant.

    Attributes:
        epoch: Count of NG6's restarts as seen by the reader, from 1.
        scan_number: Count of scans since NG6 started; restarts at 1.
        timestamp_us: When NG6 took the scan.
        assets: Symbols, in NG6's order.
        prices: Price of each asset, None where it is not finite.
        eigenvalues: Of the assets' correlation matrix, any order, None where not finite.
        seq: Count of scans the bridge has published, over all epochs.
        simulated: How the scan was simulated; None if it is as recorded.
    """

    scan_number: int
    timestamp_us: int
    assets: list[str]
    prices: list[float | None]
    eigenvalues: list[float | None]
    epoch: int = 1
    seq: int = 0
    bridge_ts: datetime | None = None
    simulated: str | None = None

    @property
    def key(self) -> tuple[int, int]:
        """The unique key of a scan: (epoch, scan_number)."""
        return self.epoch, self.scan_number


def numbered(scans: Iterable[Scan], first: int = 1) -> Iterator[Scan]:
    """Yield the scans renumbered from ``first``."""
    for number, scan in enumerate(scans, start=first):
        yield msgspec.structs.replace(scan, scan_number=number)


class ScanDocument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`latest_eigen_scan` on the wire; `simulated` is there only for simulated scans."""

    scan_number: Annotated[int, msgspec.Meta(ge=0)]
    timestamp: Aware
    assets: list[str]
    asset_prices: dict[str, float | None]
    eigenvalues: list[float | None]
    bridge_ts: Aware
    bridge_source: str
    epoch: Annotated[int, msgspec.Meta(ge=1)]
    seq: Annotated[int, msgspec.Meta(ge=0)]
    simulated: str | None = None


_decoder = msgspec.json.Decoder(ScanDocument)
_encoder = msgspec.json.Encoder()


def finite_or_none(values: list[float | None]) -> list[float | None]:
    """Return ``values`` with None where a value is not finite (JSON has no NaN)."""
    return [v if v is not None and math.isfinite(v) else None for v in values]


class EncodedScan(msgspec.Struct, frozen=True, kw_only=True):
    """A scan whose lists are JSON already; `document_of` adds what the bridge knows."""

    scan_number: int
    timestamp_us: int
    assets: bytes
    asset_prices: bytes
    eigenvalues: bytes
    simulated: str | None = None


def encoded(scan: Scan) -> EncodedScan:
    """Return a scan with its lists encoded; names must be distinct and lengths equal."""
    prices = dict(zip(scan.assets, finite_or_none(scan.prices), strict=True))
    return EncodedScan(
        scan_number=scan.scan_number,
        timestamp_us=scan.timestamp_us,
        assets=_encoder.encode(scan.assets),
        asset_prices=_encoder.encode(prices),
        eigenvalues=_encoder.encode(finite_or_none(scan.eigenvalues)),
        simulated=scan.simulated,
    )


def document_of(scan: EncodedScan, epoch: int, seq: int, bridge_ts: datetime) -> str:
    """Return the wire document of an encoded scan."""
    lists: dict[str, Any] = {
        "assets": msgspec.Raw(scan.assets),
        "asset_prices": msgspec.Raw(scan.asset_prices),
        "eigenvalues": msgspec.Raw(scan.eigenvalues),
    }
    document = ScanDocument(
        scan_number=scan.scan_number,
        timestamp=from_us(scan.timestamp_us),
        bridge_ts=bridge_ts,
        bridge_source=BRIDGE_SOURCE,
        epoch=epoch,
        seq=seq,
        simulated=scan.simulated,
        **lists,
    )
    return _encoder.encode(document).decode()


def encode_scan(scan: Scan, bridge_ts: datetime) -> str:
    """Return the wire document of ``scan``; names must be distinct and lengths equal."""
    return document_of(encoded(scan), scan.epoch, scan.seq, bridge_ts)


def decode_scan(payload: str | bytes) -> Scan:
    """Return the scan held in a wire document.

    Raises:
        ScanSchemaError: If the payload is not JSON or breaks the schema.
    """
    try:
        doc = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeEncodeError, ValueError) as e:
        raise ScanSchemaError(f"scan document refused: {e}") from e
    return Scan(
        scan_number=doc.scan_number,
        timestamp_us=to_us(doc.timestamp),
        assets=doc.assets,
        prices=[doc.asset_prices.get(asset) for asset in doc.assets],
        eigenvalues=doc.eigenvalues,
        epoch=doc.epoch,
        seq=doc.seq,
        bridge_ts=doc.bridge_ts,
        simulated=doc.simulated,
    )


def refuse_implausible(timestamp_us: int, last_us: int, now_us: int, *, is_replay: bool) -> None:
    """Raise if a scan is too far in the future: it would make every valid scan after it too old.

    Live, a scan may be CLOCK_AHEAD_US ahead of the wall clock; in a replay, which has its own
    clock, at most MAX_JUMP_US later than the last scan.

    Raises:
        ScanOutOfOrder: If the scan's instant is implausibly late.
    """
    limit_us = now_us + CLOCK_AHEAD_US
    if is_replay:
        limit_us = last_us + MAX_JUMP_US if last_us > 0 else limit_us
    if timestamp_us > limit_us:
        raise ScanOutOfOrder(
            f"its timestamp {timestamp_us} us is {(timestamp_us - limit_us) / 1e6:.0f} s beyond "
            "what can be true"
        )


class ScanOrder(msgspec.Struct):
    """The sequence of scans over restarts of NG6: the last scan seen, and which may follow it.

    A lower or equal number with a later timestamp begins a new epoch; an equal number that is
    not later is a duplicate; any other scan must be later than the last one.
    """

    epoch: int = 0
    scan_number: int = -1
    timestamp_us: int = -(2**62)

    def accept(self, scan_number: int, timestamp_us: int, epoch: int | None = None) -> bool:
        """Take the next scan; return False where it repeats the last one.

        Args:
            scan_number: NG6's count.
            timestamp_us: The scan's instant.
            epoch: The epoch that another reader assigned; None to count epochs here.

        Raises:
            ScanOutOfOrder: If the scan is not later than the last one.
        """
        is_later = timestamp_us > self.timestamp_us
        if self.epoch == 0:
            new_epoch = epoch or 1
        elif epoch is not None and epoch != self.epoch:
            new_epoch = epoch
            is_later = is_later and epoch > self.epoch
        elif scan_number == self.scan_number and not is_later:
            return False
        else:
            new_epoch = self.epoch + (scan_number <= self.scan_number)
        if not is_later:
            raise ScanOutOfOrder(
                f"scan {scan_number} at {from_us(timestamp_us).isoformat()} is not later than "
                f"scan {self.scan_number} at {from_us(self.timestamp_us).isoformat()}"
            )
        self.epoch, self.scan_number, self.timestamp_us = new_epoch, scan_number, timestamp_us
        return True
