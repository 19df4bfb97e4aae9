"""API keys with their rights and signatures, and listen keys with their lives.

Who asks, whether he may, and whether the request is his and of now belong here. Sources: Binance
USD-M, "Signed endpoint security" and "User data streams".
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from dolphin_realtime.replay.exchange.refusals import Refusal

RECV_WINDOW_MS: Final = 5000
RECV_WINDOW_MAX_MS: Final = 60_000
AHEAD_MS: Final = 1000
"""A timestamp further ahead of the venue's clock than this is refused."""
LIVES_MS: Final = 3_600_000
"""A listen key lives so long after it was made or renewed."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """One API key.

    Attributes:
        key: What is sent as X-MBX-APIKEY.
        account: Name of its account.
        secret: Of an HMAC key.
        public_pem: Of an Ed25519 key.
        may_trade: False for a key that may only read.
    """

    key: str
    account: str
    secret: str = ""
    public_pem: str = ""
    may_trade: bool = True

    def signed(self, payload: str, signature: str) -> bool:
        """Return whether a signature is this key's."""
        if self.public_pem:
            return _is_ed25519(self.public_pem, payload, signature)
        own = hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(own, signature)


def _is_ed25519(pem: str, payload: str, signature: str) -> bool:
    public = load_pem_public_key(pem.encode())
    if not isinstance(public, Ed25519PublicKey):
        return False
    try:
        public.verify(base64.b64decode(signature, validate=True), payload.encode())
    except (InvalidSignature, binascii.Error):
        return False
    return True


def check_time(params: Mapping[str, str], now_ms: int) -> None:
    """Refuse a request that is not of now.

    Raises:
        Refusal: -1102 without a timestamp, -1021 outside of the receive window.
    """
    try:
        at_ms = int(params["timestamp"])
        window_ms = min(int(params.get("recvWindow") or RECV_WINDOW_MS), RECV_WINDOW_MAX_MS)
    except (KeyError, ValueError):
        raise Refusal(-1102, "timestamp") from None
    if at_ms > now_ms + AHEAD_MS or now_ms - at_ms > window_ms:
        raise Refusal(-1021)


class Keyring:
    """The keys that the venue knows."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}

    def add(self, key: ApiKey) -> None:
        """Add a key, or replace it."""
        self._keys[key.key] = key

    def find(self, key: str | None) -> ApiKey:
        """Return a key.

        Raises:
            Refusal: -2014 without one, -2015 if nobody has it.
        """
        if not key:
            raise Refusal(-2014)
        if key not in self._keys:
            raise Refusal(-2015)
        return self._keys[key]


class ListenKey(msgspec.Struct, kw_only=True):
    """One user stream's key.

    Attributes:
        owner: The API key or the account that it belongs to.
        ends_ms: When it dies unless it is renewed.
    """

    key: str
    owner: str
    account: str
    ends_ms: int


class ListenKeys:
    """The living listen keys.

    Attributes:
        by_account: Whether all API keys of an account share one, which the documents leave open.
    """

    def __init__(self, *, by_account: bool = False) -> None:
        self.by_account = by_account
        self._living: dict[str, ListenKey] = {}

    def make(self, api: ApiKey, now_ms: int) -> ListenKey:
        """Return the owner's living key, renewed, or a new one."""
        owner = self._owner(api)
        found = self._of(owner)
        if found is None:
            found = ListenKey(
                key=secrets.token_urlsafe(48), owner=owner, account=api.account, ends_ms=0
            )
            self._living[found.key] = found
        found.ends_ms = now_ms + LIVES_MS
        return found

    def renew(self, api: ApiKey, now_ms: int) -> ListenKey:
        """Return the owner's key with its life begun again.

        Raises:
            Refusal: -1125 if there is none.
        """
        found = self._of(self._owner(api))
        if found is None:
            raise Refusal(-1125)
        found.ends_ms = now_ms + LIVES_MS
        return found

    def delete(self, api: ApiKey) -> ListenKey | None:
        """Remove and return the owner's key."""
        found = self._of(self._owner(api))
        return None if found is None else self._living.pop(found.key)

    def living(self, key: str) -> ListenKey | None:
        """Return a key that lives."""
        return self._living.get(key)

    def end(self, account: str) -> list[ListenKey]:
        """Remove and return every key of an account, as if each had expired."""
        ended = [one for one in self._living.values() if one.account == account]
        for one in ended:
            del self._living[one.key]
        return ended

    def expire(self, now_ms: int) -> list[ListenKey]:
        """Remove and return what has outlived its life."""
        ended = [one for one in self._living.values() if one.ends_ms <= now_ms]
        for one in ended:
            del self._living[one.key]
        return ended

    def _owner(self, api: ApiKey) -> str:
        return f"account {api.account}" if self.by_account else f"key {api.key}"

    def _of(self, owner: str) -> ListenKey | None:
        return next((one for one in self._living.values() if one.owner == owner), None)
