"""Clients of an account: one for each key and address."""

from dolphin_realtime.config.live import Addresses, KeyPair
from dolphin_realtime.venues.binance.rest import Rest
from dolphin_realtime.venues.binance.signing import signer_of


def clients_of(addresses: Addresses, trade: KeyPair, read: KeyPair) -> list[Rest]:
    """Return clients of the trading and the reading key, then those of their rights where told."""
    bases = [addresses.rest] + ([addresses.rights] if addresses.rights else [])
    return [
        Rest(base, pair.key, signer_of(pair.secret)) for base in bases for pair in (trade, read)
    ]
