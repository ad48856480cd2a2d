"""AWS CloudTrail's logs as events.

    import sys
    from pathlib import Path
    from keytrail.producers import EventPublisher
    from keytrail.producers.cloudtrail import read_events
    from keytrail.schemas.settings import load_settings

    publisher = EventPublisher(load_settings(), client_id="import")
    publisher.publish_all(read_events([Path("AWSLogs")], sys.stdin.buffer, report=print))
    publisher.close(timeout_s=60)

Importing the same logs twice sends the same events with the same ids, which count once.
"""

from keytrail.producers.cloudtrail.mapping import RecordError, event_from
from keytrail.producers.cloudtrail.reading import Found, Place, Problem, read_records
from keytrail.producers.cloudtrail.source import read_events

__all__ = ["Found", "Place", "Problem", "RecordError", "event_from", "read_events", "read_records"]
