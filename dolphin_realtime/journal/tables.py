"""The journal's tables: one named tuple each, from which statements and exports are made.

Columns, their types, keys and the order of exported rows belong here; the database is opened in
database.py, older versions' tables are upgraded in upgrades.py. Instants (``…_us``) are
microseconds UTC, money USDT, quantities units of the base.
"""

import types
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from dolphin_realtime.journal.live_tables import IncomeRow, InputRow, ShadowFillRow

UNFILLED: Final = "state NOT IN ('FILLED', 'UNKNOWN')"
"""Of `order_events`: ends that are not a whole fill."""


class DecisionRow(NamedTuple):
    """The decision on one asset at one scan, with side and quantity of its order, if any."""

    epoch: int
    scan_number: int
    timestamp_us: int
    asset: str
    signal: float
    target: float
    held: float
    side: str | None
    quantity: float
    reason: str
    score: float | None
    direction: int | None


class OrderRow(NamedTuple):
    """An order as it was decided."""

    client_order_id: str
    epoch: int
    scan_number: int
    timestamp_us: int
    asset: str
    side: str
    quantity: float
    leg: str
    reduce_only: bool


class FillRow(NamedTuple):
    """A fill, with the mid, the source of its quote, and the instant of the scan that booked it.

    The last columns are those of a real venue; ``seq`` numbers what came from it. A trade from
    outside has no client order id, and its cause as its source.
    """

    fill_id: str
    client_order_id: str
    epoch: int
    scan_number: int
    timestamp_us: int
    asset: str
    side: str
    quantity: float
    price: float
    mid: float
    fee: float
    realised: float
    source: str
    booked_us: int
    size_digits: int
    seq: int | None = None
    venue_us: int | None = None
    venue_order_id: int | None = None
    venue_realised: float | None = None
    fee_asset: str | None = None
    fee_paid: float | None = None


class OrderEventRow(NamedTuple):
    """An order's end, or its UNKNOWN state; at a real venue with its ``seq``, and when it was heard."""

    client_order_id: str
    asset: str
    timestamp_us: int
    state: str
    reason: str
    filled: float
    seq: int | None = None
    heard_us: int | None = None


class RefusalRow(NamedTuple):
    """An order that a pre-trade limit stopped: the value and the bound."""

    epoch: int
    scan_number: int
    timestamp_us: int
    asset: str
    side: str
    quantity: float
    code: str
    value: float
    bound: float


class FundingRow(NamedTuple):
    """A funding settlement: position, rate, and amount paid (negative: received)."""

    settlement_us: int
    asset: str
    quantity: float
    rate: float | None
    amount: float
    booked_us: int


class PositionChangeRow(NamedTuple):
    """An operator's change of a position: before and after, who made it, and why."""

    id: str
    timestamp_us: int
    at: str
    act: str
    asset: str
    value: float | None
    undoes: str | None
    quantity_before: float
    quantity: float
    average_before: float
    average: float
    price_before: float | None
    price: float | None
    realised: float
    size_digits: int
    who: str
    reason: str


class EquityRow(NamedTuple):
    """The account after one scan, its exposure, and the signal's state."""

    epoch: int
    scan_number: int
    timestamp_us: int
    cash: float
    realised: float
    unrealised: float
    fees: float
    funding: float
    equity: float
    posture: str
    is_acted_on: bool
    simulated: str | None
    long_usd: float
    short_usd: float
    r_ar: float
    r_vol: float
    assets: int
    gated: int
    latency_us: float | None
    entry_block: str | None


class DayRow(NamedTuple):
    """Figures of one UTC day so far, as in PNL."""

    day: str
    realised: float
    unrealised: float
    fees: float
    funding: float
    equity: float
    trades: int
    max_drawdown: float


class OpeningRow(NamedTuple):
    """The portfolio before a day's first scan, and that scan's prices as JSON."""

    day: str
    timestamp_us: int
    desk: bytes
    prices: str


class StateRow(NamedTuple):
    """The portfolio after the last scan: the only row."""

    only_row: int
    desk: bytes


class MetaRow(NamedTuple):
    """One of the journal's own facts."""

    name: str
    value: str


Row = (
    DecisionRow | OrderRow | FillRow | OrderEventRow | RefusalRow | FundingRow | IncomeRow
    | ShadowFillRow | InputRow | PositionChangeRow | EquityRow | DayRow | OpeningRow | StateRow | MetaRow
)  # fmt: skip


class Table(NamedTuple):
    """One table.

    Attributes:
        row: The type of its rows.
        key: Its primary key; empty if it has no primary key.
        verb: The SQL verb that inserts a row.
        order: Order of rows in an export; empty if it is not exported.
        first: Columns with which an export begins, after the instant and the instance.
        has_rowid: Whether SQLite numbers its rows.
    """

    row: type[Row]
    key: tuple[str, ...] = ()
    verb: str = "INSERT"
    order: str = "rowid"
    first: tuple[str, ...] = ()
    has_rowid: bool = True


REPLACE: Final = "INSERT OR REPLACE"
TABLES: Final = {
    "decisions": Table(DecisionRow),
    "orders": Table(
        OrderRow, ("client_order_id",), has_rowid=False,
        order="timestamp_us, epoch, scan_number, client_order_id",
        first=("asset", "side", "quantity", "leg", "reduce_only", "client_order_id"),
    ),
    "fills": Table(
        FillRow, ("fill_id",),
        first=("asset", "side", "quantity", "price", "fee", "client_order_id", "scan_number",
               "epoch"),
    ),
    "order_events": Table(OrderEventRow),
    "refusals": Table(RefusalRow),
    "funding": Table(FundingRow, ("settlement_us", "asset"), first=("asset", "amount")),
    "income": Table(IncomeRow, ("kind", "tran_id", "symbol"), first=("asset", "amount")),
    "shadow_fills": Table(ShadowFillRow, ("client_order_id",)),
    "inputs": Table(InputRow, ("timestamp_us",), order=""),
    "equity": Table(EquityRow, ("epoch", "scan_number")),
    "days": Table(DayRow, ("day",), REPLACE, order=""),
    "openings": Table(OpeningRow, ("day",), "INSERT OR IGNORE", order=""),
    "position_changes": Table(PositionChangeRow, ("id",)),
    "state": Table(StateRow, ("only_row",), REPLACE, order=""),
    "meta": Table(MetaRow, ("name",), REPLACE, order=""),
}  # fmt: skip
KINDS: Final = {int: "INTEGER", bool: "INTEGER", float: "REAL", str: "TEXT", bytes: "BLOB"}


def columns_of(table: str) -> dict[str, type]:
    """Return a table's columns and their Python types, without ``| None``."""
    hints = get_type_hints(TABLES[table].row)
    return {name: _without_none(kind) for name, kind in hints.items()}


def _without_none(kind: Any) -> type:
    found: list[type] = [k for k in get_args(kind) if k is not types.NoneType] or [kind]
    return found[0]


def schema() -> str:
    """Return the statements that create all missing tables and the view `cancels`."""
    made = [_create(name) for name in TABLES]
    view = (
        "CREATE VIEW IF NOT EXISTS cancels AS SELECT client_order_id, timestamp_us, reason "  # noqa: S608
        f"FROM order_events WHERE {UNFILLED};"
    )
    return "\n".join([*made, view])


def _create(name: str) -> str:
    table = TABLES[name]
    parts = [f"{column} {KINDS[kind]}" for column, kind in columns_of(name).items()]
    if table.key:
        parts.append(f"PRIMARY KEY ({', '.join(table.key)})")
    if name == "state":
        parts.append("CHECK (only_row = 0)")
    end = "" if table.has_rowid else " WITHOUT ROWID"
    return f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(parts)}){end};"


def insert_of(name: str, verb: str = "") -> str:
    """Return the statement that inserts a row into a table, by its own verb or another."""
    columns = list(columns_of(name))
    marks = ", ".join("?" * len(columns))
    return f"{verb or TABLES[name].verb} INTO {name} ({', '.join(columns)}) VALUES ({marks})"
