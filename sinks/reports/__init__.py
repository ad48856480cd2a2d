"""Reports: questions to the tables that come with an answer's shape.

A report is a module here with a `REPORT` (an evidence pack: in `evidence`), and a line in `REPORTS`.
"""

from keytrail.sinks.reports import (
    access_review,
    chain,
    evidence,
    joiner_mover_leaver,
    key_inventory,
    privileged_access,
    segregation_of_duties,
    unattributed,
)
from keytrail.sinks.reports.report import Report

REPORTS: dict[str, Report] = {
    report.name: report
    for report in (
        chain.REPORT,
        access_review.REPORT,
        joiner_mover_leaver.REPORT,
        privileged_access.REPORT,
        key_inventory.REPORT,
        unattributed.REPORT,
        segregation_of_duties.REPORT,
        evidence.SOC2,
        evidence.ISO27001,
        evidence.GDPR,
        evidence.PCI_DSS,
    )
}

__all__ = ["REPORTS", "Report"]
