"""The newest external factors: `exf_latest` as it comes, read by the signal at each scan.

Lifetimes are judged by the gates on the scan's clock; a document that cannot be read leaves
the last one, whose readings expire by themselves.
"""

from dolphin_realtime.factor_documents import read_factor_document
from dolphin_realtime.model.gates import NO_FACTORS, Factors


class FactorShelf:
    """The factors in force."""

    def __init__(self) -> None:
        self.factors: Factors = NO_FACTORS

    def take(self, text: str) -> None:
        """Take a document.

        Raises:
            ValueError: If it is no JSON object.
        """
        self.factors = read_factor_document(text)
