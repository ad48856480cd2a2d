"""Rule failure: a rule could not judge an event.

Meaning: a defect in a rule, or an event or key of a form that nobody thought of.  The event is
stored all the same, but what the rule would have said is missing, so a person must know.
"""

from keytrail.stream.detections.verdict import Rule, Verdict

RULE = Rule("rule_failure", 1, "act", "high", None)


def failed(rule: str, error: str) -> Verdict:
    """`rule` is the module of the rule that failed, `error` the kind of error it raised."""
    return Verdict(
        RULE,
        "rule",
        rule,
        error,
        f"The rule {rule} failed ({error}); events that it did not judge are named as evidence.",
        "The worker's log has the details; report it, and look at these events by hand.",
    )
