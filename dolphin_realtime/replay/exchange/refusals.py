"""What the venue refuses: Binance's codes, their HTTP status and their words.

Source: Binance USD-M, "Error codes" of the public API documents.
"""

from typing import Final

KNOWN: Final = {
    -1000: (400, "An unknown error occured while processing the request."),
    -1001: (500, "Internal error; unable to process your request. Please try again."),
    -1003: (429, "Too many requests; current limit is 2400 requests per minute."),
    -1006: (400, "An unexpected response was received from the message bus."),
    -1007: (408, "Timeout waiting for response from backend server."),
    -1008: (503, "Server is currently overloaded with other requests."),
    -1015: (429, "Too many new orders."),
    -1016: (400, "This service is no longer available."),
    -1021: (400, "Timestamp for this request is outside of the recvWindow."),
    -1022: (400, "Signature for this request is not valid."),
    -1102: (400, "A mandatory parameter was not sent, was empty/null, or malformed."),
    -1111: (400, "Precision is over the maximum defined for this asset."),
    -1115: (400, "Invalid timeInForce."),
    -1116: (400, "Invalid orderType."),
    -1117: (400, "Invalid side."),
    -1121: (400, "Invalid symbol."),
    -1125: (400, "This listenKey does not exist."),
    -2011: (400, "Unknown order sent."),
    -2013: (400, "Order does not exist."),
    -2014: (401, "API-key format invalid."),
    -2015: (401, "Invalid API-key, IP, or permissions for action."),
    -2019: (400, "Margin is insufficient."),
    -2022: (400, "ReduceOnly Order is rejected."),
    -2027: (400, "Exceeded the maximum allowable position at current leverage."),
    -4003: (400, "Quantity less than or equal to zero."),
    -4005: (400, "Quantity greater than max quantity."),
    -4015: (400, "Client order id is not valid."),
    -4046: (400, "No need to change margin type."),
    -4061: (400, "Order's position side does not match user's setting."),
    -4116: (400, "ClientOrderId is duplicated."),
    -4131: (400, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."),
    -4164: (400, "Order's notional must be no smaller than 5 (unless you choose reduce only)."),
    -4165: (400, "Invalid time interval."),
    -5021: (400, "Due to the order could not be filled immediately, the FOK order has been rejected."),
    -5022: (400, "Due to the order could not be executed as maker, the Post Only order will be rejected."),
    -5028: (400, "Timestamp for this request is outside of the ME recvWindow."),
}  # fmt: skip


class Refusal(Exception):  # noqa: N818 - an answer of the venue, not a fault of this program
    """A request that the venue refuses; ``code`` is in KNOWN."""

    def __init__(self, code: int, more: str = "") -> None:
        self.code = code
        self.status, words = KNOWN[code]
        self.words = f"{words} {more}".rstrip()
        super().__init__(f"{code}: {self.words}")

    def body(self) -> dict[str, object]:
        """Return the answer's body."""
        return {"code": self.code, "msg": self.words}
