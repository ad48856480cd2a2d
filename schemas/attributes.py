"""Names under which a key travels with a request, and what keytrail reads in an event's `attributes`.

A service downstream of the one that holds a key has the key's claim (`signature.SigningKey.claim`) and not
its secret.  Its events name the claimed key in `key_id` and carry the claim's text in the attribute `CLAIM`:
whoever holds the masters can tell by it whether the key really was there.
"""

CLAIM = "keytrail.claim"
SPAN_KIND = "otel.span_kind"  # only where the event is a span's record of itself
PARENT_SPAN = "otel.parent_span_id"  # 16 hex digits; `span_id` names the span itself

# In W3C Baggage: the claim, and what its sender says about it, which no claim vouches for.
BAGGAGE_CLAIM = "keytrail.key"
BAGGAGE_ACTOR = "keytrail.actor"
BAGGAGE_REASON = "keytrail.reason"
BAGGAGE_TICKET = "keytrail.ticket"

# On spans and log records.
KEY_ID = "keytrail.key_id"
