"""Getting events into keytrail.

A service records what happens through an `AuditTrail`, which never blocks or fails it:

    from keytrail.producers import AuditTrail

    trail = AuditTrail(service="billing", environment="production")
    trail.grant(
        "bob", "invoice-admin", key="key-finance-7", actor="anna", reason="on call", ticket="OPS-42"
    )
    trail.close()

Where Kafka and the schema registry are comes from `KEYTRAIL_KAFKA_BOOTSTRAP` and
`KEYTRAIL_REGISTRY_URL`, from `keytrail.toml`, or from the stack that `keytrail up` started in
`KEYTRAIL_DATA_DIR` (see `keytrail.schemas.settings`).

Bulk work uses an `EventPublisher`, which waits and raises instead.  Adapters for existing audit
logs are subpackages: `cloudtrail`.
"""

from keytrail.producers.courier import Outlet
from keytrail.producers.details import ContextDetails, Details
from keytrail.producers.key_log import KeyLog, read_keys
from keytrail.producers.publisher import DeliveryError, EventPublisher, KeyPublisher
from keytrail.producers.stats import TrailStats
from keytrail.producers.trail import AuditTrail

__all__ = [
    "AuditTrail",
    "ContextDetails",
    "DeliveryError",
    "Details",
    "EventPublisher",
    "KeyLog",
    "KeyPublisher",
    "Outlet",
    "TrailStats",
    "read_keys",
]
