"""Backtests for tests: scripted desks, and a run into a folder."""

from dolphin_realtime.backtest.run import backtest_to_files
from dolphin_realtime.books.documents import BookFeed
from dolphin_realtime.factors.documents import FactorHistory
from dolphin_realtime.model.orders import OrderIntent
from dolphin_realtime.model.portfolio.costs import CostParams
from dolphin_realtime.model.portfolio.decision import Decision
from dolphin_realtime.model.portfolio.portfolio import Portfolio
from dolphin_realtime.model.risk.permission import TradingPermission
from dolphin_realtime.scans.coverage import Reading


class ScriptedDesk(Portfolio):
    """Sends what a script says: {scan number: [(asset, side, quantity), …]}."""

    def __init__(self, script, costs: CostParams | None = None) -> None:
        super().__init__("TEST", costs=costs)
        self.add_instruments([f"A{n:02d}" for n in range(12)])
        self.script = script

    def decide(self, scan, limits: TradingPermission, book=None, factors=None):
        plan = self._advance(scan, limits, book, factors)
        if plan.draft is None:
            return plan
        for n, (asset, side, quantity) in enumerate(self.script.get(scan.scan_number, [])):
            held = self.projected().get(asset, 0.0)
            closes = held * (1 if side == "BUY" else -1) < 0
            intent = OrderIntent(
                asset=asset, side=side, quantity=quantity, leg=f"S{n}", is_reduce_only=closes
            )
            plan.orders.append(self._fly(intent, plan.key[0], scan.scan_number, scan.timestamp_us))
            plan.decisions.append(
                Decision(
                    asset=asset, signal=1.0, target=0.0, held=held, reason="OK", orders=(intent,)
                )
            )
        return plan


def run(portfolio, scans, out, factors=None, caveats=()):
    """Trade scans into a folder and return (result, report)."""
    return backtest_to_files(
        portfolio, iter(scans), out, "Test", BookFeed([]), factors or FactorHistory([]), list(caveats),
        Reading(),
    )  # fmt: skip
