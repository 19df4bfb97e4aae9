"""The NautilusTrader node that sends orders to Binance USD-M, every relevant option set here.

Orders leave by HTTP and are sent once: over the websocket API rc7 keeps what it could not write and
sends it later, by which an order that was given up still executes. `assert_safe` looks at the
configuration as it was made, so that a default that returns in an upgrade stops the start. Nothing that the node books is
Dolphin's book (ADR 17).
"""

from typing import Any, Final

import msgspec
from nautilus_trader.adapters.binance import (
    BinanceEnvironment,
    BinanceExecutionClientConfig,
    BinanceExecutionClientFactory,
    BinanceInstrumentProviderConfig,
    BinanceProductType,
)
from nautilus_trader.common import CacheConfig, Environment
from nautilus_trader.live import (
    DataClientConfig,
    LiveExecutionEngineConfig,
    LiveNode,
    LiveRiskEngineConfig,
    SubmissionRecoveryPolicy,
)
from nautilus_trader.live.clients import DataClient, DataClientFactory
from nautilus_trader.model import AccountId, OmsType, TraderId, Venue

from dolphin_realtime.engine.nautilus import (
    BINANCE,
    SILENT,
    OrderStrategy,
    instrument_id,
    make_instrument,
)
from dolphin_realtime.model.errors import EngineError
from dolphin_realtime.model.market.instrument import MODELLED_DIGITS, InstrumentSpec
from dolphin_realtime.venues.binance.order_life import RECV_WINDOW_MS

INSTRUMENTS: Final = "INSTRUMENTS"
NO_RATE_LIMIT: Final = "1000000/00:00:01"
ENVIRONMENTS: Final = {
    "live": BinanceEnvironment.LIVE,
    "testnet": BinanceEnvironment.TESTNET,
    "loopback": BinanceEnvironment.LIVE,
}


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the node sends orders, and with which key; its text shows neither key nor secret.

    Attributes:
        venue: live, testnet or loopback.
        loopback: Base address of the loopback venue, empty for the others.
    """

    owner: str
    venue: str
    loopback: str
    key: str
    secret: str

    def __repr__(self) -> str:
        """Return a text without a secret."""
        return f"NodeSettings({self.venue}, {self.owner})"


class _Instruments(DataClient):
    """Gives the node its instruments: it drops the reports of those that it does not know."""

    specs: dict[str, InstrumentSpec]

    async def _connect(self) -> None:
        for asset, spec in self.specs.items():
            tick = msgspec.structs.replace(
                spec, price_precision=spec.price_precision - MODELLED_DIGITS
            )
            self._handle_instrument(make_instrument(BINANCE, asset, tick))

    async def _disconnect(self) -> None:
        pass


def build(settings: NodeSettings, specs: dict[str, InstrumentSpec], strategy: OrderStrategy) -> Any:
    """Return the node, with its strategy, that trades these instruments.

    Raises:
        EngineError: If what was built is not what is safe.
    """
    client, engine = _client(settings, list(specs)), _engine()
    assert_safe(client, engine)
    node = (
        LiveNode.builder("DOLPHIN", TraderId(f"DOLPHIN-{settings.owner}"), Environment.LIVE)
        .with_logging(SILENT)
        .with_cache_config(
            CacheConfig(tick_capacity=2, bar_capacity=1, persist_account_events=False)
        )
        .with_risk_engine_config(
            LiveRiskEngineConfig(
                bypass=True,
                max_order_submit_rate=NO_RATE_LIMIT,
                max_order_modify_rate=NO_RATE_LIMIT,
            )
        )
        .with_exec_engine_config(engine)
        .with_reconciliation(True)
        .with_timeout_connection(20)
        .with_timeout_reconciliation(20)
        .with_timeout_portfolio(5)
        .with_delay_post_stop_secs(0)
        .with_timeout_disconnection_secs(2)
        .add_data_client(INSTRUMENTS, _instruments_factory(specs), DataClientConfig())
        .add_exec_client(BINANCE, BinanceExecutionClientFactory(), client)
        .build()
    )
    node.add_strategy(strategy)
    strategy.set_external_order_instrument_ids([instrument_id(BINANCE, a) for a in specs])
    return node


def _client(settings: NodeSettings, assets: list[str]) -> BinanceExecutionClientConfig:
    urls: dict[str, Any] = {}
    if settings.loopback:
        stream = settings.loopback.replace("http", "ws", 1)
        urls = {
            "base_url_http": settings.loopback,
            "base_url_ws": stream,
            "base_url_ws_trading": f"{stream}/ws-fapi/v1",
        }
    return BinanceExecutionClientConfig(
        account_id=AccountId(f"{BINANCE}-001"),
        product_type=BinanceProductType.USD_M,
        environment=ENVIRONMENTS[settings.venue],
        use_ws_trading=False,
        api_key=settings.key,
        api_secret=settings.secret,
        oms_type=OmsType.NETTING,
        use_position_ids=False,
        max_retries=0,
        recv_window_ms=RECV_WINDOW_MS,
        instrument_refresh_interval_secs=0,
        instrument_provider=BinanceInstrumentProviderConfig(
            load_all=False, load_ids=[str(instrument_id(BINANCE, a)) for a in assets]
        ),
        **urls,
    )


def _engine() -> LiveExecutionEngineConfig:
    return LiveExecutionEngineConfig(
        reconciliation=True,
        reconciliation_startup_delay_secs=0.0,
        reconciliation_lookback_mins=10,
        inflight_check_interval_ms=0,
        open_check_interval_secs=None,
        position_check_interval_secs=None,
        submission_recovery_policy=SubmissionRecoveryPolicy.RETAIN_UNRESOLVED,
    )


def assert_safe(client: Any, engine: Any) -> None:
    """Raise unless orders leave by HTTP, once, and nothing is resolved by the node itself.

    Raises:
        EngineError: Naming the option.
    """
    wrong = [
        name
        for name, is_safe in (
            ("use_ws_trading", not client.use_ws_trading),
            ("max_retries", client.max_retries == 0),
            ("recv_window_ms", client.recv_window_ms == RECV_WINDOW_MS),
            ("oms_type", client.oms_type == OmsType.NETTING),
            ("use_position_ids", not client.use_position_ids),
            ("futures_leverages", not client.futures_leverages),
            ("inflight_check_interval_ms", engine.inflight_check_interval_ms == 0),
            ("open_check_interval_secs", engine.open_check_interval_secs is None),
            ("position_check_interval_secs", engine.position_check_interval_secs is None),
            ("submission_recovery_policy",
             engine.submission_recovery_policy == SubmissionRecoveryPolicy.RETAIN_UNRESOLVED),
        )
        if not is_safe
    ]  # fmt: skip
    if wrong:
        raise EngineError(f"the node is not built as it must be: {', '.join(wrong)}")


def _instruments_factory(specs: dict[str, InstrumentSpec]) -> Any:
    def create(**fields: Any) -> _Instruments:
        client = _Instruments(**fields, venue=Venue(BINANCE))
        client.specs = specs
        return client

    return type("Factory", (DataClientFactory,), {"create": staticmethod(create)})
