"""Documents kept in order, bounded by number and by bytes: the oldest are dropped."""

from collections import deque
from collections.abc import Iterable, Iterator


class Outbox:
    """A queue of documents.

    Args:
        most: Most documents it holds.
        most_bytes: Most bytes it holds; the newest document is always kept.

    Attributes:
        bytes: Bytes of what it holds.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._documents: deque[str] = deque()
        self.bytes = 0

    def extend(self, documents: Iterable[str]) -> int:
        """Add documents at the end; return how many were dropped at the front for them."""
        dropped = 0
        for document in documents:
            self._documents.append(document)
            self.bytes += size_of(document)
            while len(self) > 1 and (len(self) > self._most or self.bytes > self._most_bytes):
                self.pop_first()
                dropped += 1
        return dropped

    @property
    def first(self) -> str:
        """The oldest document; there must be one."""
        return self._documents[0]

    def pop_first(self) -> None:
        """Drop the oldest document."""
        self.bytes -= size_of(self._documents.popleft())

    def batches(self, batch_bytes: int) -> Iterator[list[str]]:
        """Return all documents in order, in lists of about as many bytes."""
        batch: list[str] = []
        size = 0
        for document in list(self._documents):  # it may grow meanwhile
            batch.append(document)
            size += size_of(document)
            if size >= batch_bytes:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def __len__(self) -> int:
        return len(self._documents)


def size_of(document: str) -> int:
    """Return the bytes that a document takes as UTF-8; in memory it may take twice as many."""
    return len(document) if document.isascii() else len(document.encode())
