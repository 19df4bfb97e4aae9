"""What becomes of orders, said shortly for tests of a portfolio without an engine."""

from dolphin_realtime.model.orders import Ended, EndKind, Traded


def fill(portfolio, order, price, fee, mid):
    """Fill an order wholly, and end it."""
    order_id = order.client_order_id
    portfolio.book(Traded(order_id, f"{order_id}-1", order.order.quantity, price, fee), mid)
    portfolio.book(Ended(order_id, EndKind.FILLED))


def lapse(portfolio, order):
    """End an order that did not fill."""
    portfolio.book(Ended(order.client_order_id, EndKind.CANCELED, "UNFILLED: no quote in time"))
