"""How a report shows a period at a real venue."""

from collections.abc import Iterator

from dolphin_realtime.reports.figures import Figures
from dolphin_realtime.reports.live import Shortfall
from dolphin_realtime.reports.tables import Row, number, table, usd


def live_tables(f: Figures) -> Iterator[str]:
    """Yield the sections of a live period, none on paper."""
    if f.live is None:
        return
    live = f.live
    shadow = "–" if live.shadow_net is None else usd(live.shadow_net)
    yield table(
        "Live beside its models",
        [
            ("live: wallet and unrealised, less what was moved", usd(live.net)),
            ("shadow: every trade at the modelled fill", shadow),
            (
                "backtest of the day",
                usd(live.backtest_net)
                if live.backtest_net is not None
                else "not compared yet: dolphin versus DAY",
            ),
            ("price against the model, against us", f"{number(live.error_bps)} bps"),
        ],
    )
    yield table("Implementation shortfall, against us", _shortfall_rows(live.shortfall))
    waits = live.unknown_s
    yield table(
        "Outcomes at the venue",
        [
            *((kind, f"{n:,}") for kind, n in live.outcomes.items()),
            ("orders whose state was unknown", f"{waits.get('n', 0):,.0f}"),
            (
                "unknown for, p50 and longest",
                f"{number(waits.get('p50'))} s, {number(waits.get('max'))} s",
            ),
            *((kind, f"{n:,}") for kind, n in live.outside.items()),
            (
                "trades that NautilusTrader or the reader lacked in time, since the last start",
                f"{live.node_differences:,}",
            ),
            *(("adopted", words) for words in live.adopted),
        ],
    )


def _shortfall_rows(s: Shortfall) -> list[Row]:
    def cost(value: float) -> str:
        share = f"{1e4 * value / s.notional:,.2f} bps" if s.notional else "–"
        return f"{usd(value)} = {share}"

    return [
        ("scan's price to the market at the modelled fill", cost(s.delay)),
        ("from there to the venue's price", cost(s.spread_and_impact)),
        ("fees", cost(s.fee)),
        ("= shortfall", cost(s.total)),
        ("trades, without a model beside them", f"{s.trades:,}, {s.without:,}"),
        ("not filled: what that would have gained", usd(s.opportunity)),
    ]
