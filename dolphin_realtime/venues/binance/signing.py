"""Signing of requests: HMAC-SHA256 with a secret, or Ed25519 with a private key in PEM.

Source: Binance USD-M, "Signed endpoint security".
"""

import base64
import hashlib
import hmac
from typing import Protocol
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from dolphin_realtime.model.errors import SettingsError

PEM = "-----BEGIN"


class Signer(Protocol):
    """Signs the text of a request."""

    def __call__(self, payload: str) -> str:
        """Return the signature."""


def signer_of(secret: str) -> Signer:
    """Return the signer of a secret; a PEM is an Ed25519 key.

    Raises:
        SettingsError: If the secret is empty, or a PEM holds another kind of key.
    """
    if not secret:
        raise SettingsError("the API secret is empty")
    if not secret.startswith(PEM):
        return lambda payload: hmac.new(
            secret.encode(), payload.encode(), hashlib.sha256
        ).hexdigest()
    try:
        private = load_pem_private_key(secret.encode(), password=None)
    except ValueError as e:
        raise SettingsError(f"the API secret is no private key in PEM: {e}") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise SettingsError("the API secret is a PEM, but no Ed25519 key")
    return lambda payload: base64.b64encode(private.sign(payload.encode())).decode()


def signed_query(params: dict[str, str | int], sign: Signer) -> str:
    """Return the query of a signed request: parameters in their order, then the signature."""
    payload = urlencode(params)
    return f"{payload}&signature={quote(sign(payload), safe='')}"
