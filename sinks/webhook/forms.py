"""The forms in which a webhook can be sent a finding."""

import json
from collections.abc import Callable, Mapping

from keytrail.schemas.records import Anomaly
from keytrail.sinks.cloud_events import envelope
from keytrail.sinks.finding_json import plain
from keytrail.sinks.ocsf import detection_finding

_MOST_SLACK = 2_900  # Slack takes 3,000 characters a section


def _slack(anomaly: Anomaly) -> object:
    """One message: the sentence, what to do, and where it stands."""
    head = f"*{anomaly.severity.upper()}* {anomaly.rule}: {anomaly.entity_type} {anomaly.entity}"
    lines = [head, anomaly.summary, anomaly.remedy]
    lines.append(f"{anomaly.status}, {anomaly.count} so far; finding {anomaly.anomaly_id}")
    text = "\n".join(_plain_text(line) if line is not head else _escaped(line) for line in lines if line)
    text = text[:_MOST_SLACK]
    return {"text": text, "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain_text(text: str) -> str:
    """Without what Slack would take for a link, a mention or formatting."""
    return _escaped(text).translate({ord(mark): f"\u200b{mark}" for mark in "*_~`"})


FORMS: Mapping[str, Callable[[Anomaly], object]] = {
    "json": plain,
    "slack": _slack,
    "ocsf": detection_finding,
    "cloudevents": lambda anomaly: envelope(anomaly, plain(anomaly)),
    "cloudevents-ocsf": lambda anomaly: envelope(anomaly, detection_finding(anomaly)),
}


def body_of(anomaly: Anomaly, form: str) -> bytes:
    """UTF-8 JSON; `form` is one of `FORMS`."""
    return json.dumps(FORMS[form](anomaly), ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )
