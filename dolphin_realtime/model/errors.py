"""Every error Dolphin raises on purpose, split by what the caller does next.

    * DolphinError
      x SettingsError      stop at start: a person must change a setting or a command
      x ScanError          no trade may follow from this scan
        + ScanFileError      quarantine the file, count it, go on
        + ScanIncomplete     the file is still being written: look again later
        + ScanOutOfOrder     older than what is held: quarantine, do not publish
        + ScanSchemaError    the document breaks its shape: count it, ignore it
      x ShareBusy          another process reads the scan folder, or hangs in it: later
      x GridError          the grid is away or refuses: keep trying, open nothing
      x MemberError        the Hazelcast member cannot be fetched or started
      x BookChainBroken    updates of an order book are missing: fetch it again
      x BookSourceError    a venue gives no order book: ask again later
      x VenueError         a venue did not do what was asked
        + VenueRefused       it refused, with a code of its own
        + VenueUnreachable   no answer: what became of the request is not known
        + VenueBlocked       not asked, because the venue said when to come again
      x SourceError        a factor's source gives nothing usable now: keep the last reading
        + SourceUnavailable    no answer, a refusal, nothing new: ask less often
        + SourceFormatChanged  an answer that is not what was agreed: a person must look
      x NoOrderId          an order for which there is no order id: only this order is refused
      x OrderMismatch      an outcome contradicts its order: open nothing until a restart
      x EngineError        the trading engine was misused, or is not running: do not trade
      x JournalError       the journal cannot be read or breaks an identity: do not trade
      x SafetyRefused      the safety service will not do that in this posture
      x PositionRefused    an operator's position command cannot be done: nothing was changed
      x DeliveryError      a receiver did not take an alert: try again later
      x ServiceError       a service or the local runner did not do what was asked

Errors of a library are handled by its caller, or wrapped in one of these.
"""


class DolphinError(Exception):
    """Base of every deliberate error: the message says what is wrong and what to do."""


class SettingsError(DolphinError):
    """A setting or an argument is missing, malformed or unknown."""


class ScanError(DolphinError):
    """A scan from which no trade may follow."""


class ScanFileError(ScanError):
    """A scan file that can never be read: names the file, the field and the value."""


class ScanIncomplete(ScanError):  # noqa: N818 - a state of the file, not a fault
    """A scan file that ends too early and may still be growing."""


class ScanOutOfOrder(ScanError):  # noqa: N818 - a state of the feed, not a fault
    """A scan that is not later than the newest one held."""


class ScanSchemaError(ScanError):
    """A scan document that is not JSON or breaks its schema."""


class ShareBusy(DolphinError):  # noqa: N818 - a state of the share, not a fault
    """Another process holds the right to read the scan folder."""

    def __init__(self, holder: str) -> None:
        super().__init__(
            f"process {holder or 'unknown'} reads the scan folder and has not come back: if the share "
            "hangs (dolphin status: share_hung), nothing else may touch it; ask again when it is back"
        )


class GridError(DolphinError):
    """The Hazelcast grid cannot be reached or refused the request."""


class MemberError(DolphinError):
    """The Hazelcast member could not be fetched, configured or started."""


class BookChainBroken(DolphinError):  # noqa: N818 - a state of the stream, not a fault
    """An update that does not follow the one before it: the book must be fetched again."""


class BookSourceError(DolphinError):
    """A venue's public data is not there: no answer, a refusal, or an invalid answer."""


class VenueError(DolphinError):
    """A venue did not do what was asked."""


class VenueRefused(VenueError):  # noqa: N818 - an answer of the venue, not a fault
    """The venue refused a request; ``code`` is its own."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self.code = code


class VenueUnreachable(VenueError):  # noqa: N818 - a state of the venue, not a fault
    """The venue gave no answer: what became of the request is not known."""


class VenueBlocked(VenueError):  # noqa: N818 - a state of the venue, not a fault
    """The venue is not asked until the time that it named."""


class SourceError(DolphinError):
    """A factor's source that gives no usable reading: names source, field and value."""


class SourceUnavailable(SourceError):  # noqa: N818 - a state of the source, not a fault
    """A source that does not answer, refuses, has no data, or has only old data."""


class SourceFormatChanged(SourceError):  # noqa: N818 - a finding, not a fault of ours
    """A source whose answer is of another shape, unit or range than agreed."""


class NoOrderId(DolphinError):  # noqa: N818 - a state of the journal's life, not a fault
    """An order for which there is no client order id left."""


class OrderMismatch(DolphinError):  # noqa: N818 - a finding, not a fault of the order
    """An outcome that contradicts its order: over-filled, or an end that its fills contradict."""


class EngineError(DolphinError):
    """The trading engine did not start, or was misused."""


class JournalError(DolphinError):
    """The journal is locked, unreadable or breaks an identity."""


class SafetyRefused(DolphinError):  # noqa: N818 - an answer, not a fault
    """The safety service refuses an operator command; the message says what to do instead."""


class PositionRefused(DolphinError):  # noqa: N818 - an answer, not a fault
    """An operator's position command cannot be carried out; the message says why."""


class DeliveryError(DolphinError):
    """A receiver of alerts did not take a message."""


class ServiceError(DolphinError):
    """The local runner or a service refused, failed or did not answer."""
