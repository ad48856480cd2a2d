"""The signature of a webhook, as Standard Webhooks (standardwebhooks.com) has it.

`webhook-signature: v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.  The receiver works it out
again over the bytes as they came, and refuses a timestamp that is minutes off.
"""

import base64
import binascii
import hmac

from keytrail.schemas.errors import UsageError

_PREFIX = "whsec_"
_LEAST_BYTES = 24


def secret_of(text: str) -> bytes:
    """From `whsec_` and base64.  Raises `UsageError` for anything else, and for fewer than 24 bytes."""
    encoded = text.strip()
    try:
        secret = base64.b64decode(encoded.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not encoded.startswith(_PREFIX) or len(secret) < _LEAST_BYTES:
        raise UsageError(
            "The webhook's secret has not the form of one.",
            f'Write it as {_PREFIX}BASE64 of {_LEAST_BYTES} bytes or more: echo "{_PREFIX}$(openssl rand '
            '-base64 32)".',
        )
    return secret


def headers(message_id: str, at_s: int, body: bytes, secret: bytes | None) -> dict[str, str]:
    """`at_s` is the time of sending in seconds since 1970; without a secret there is no signature."""
    found = {"webhook-id": message_id, "webhook-timestamp": str(at_s)}
    if secret is not None:
        signed = hmac.digest(secret, f"{message_id}.{at_s}.".encode() + body, "sha256")
        found["webhook-signature"] = "v1," + base64.b64encode(signed).decode()
    return found
