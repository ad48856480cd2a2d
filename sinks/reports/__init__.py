"""Reports: questions to the tables that come with an answer's shape.

A report is a module here with a `REPORT`, and a line in `REPORTS`.
"""

from keytrail.sinks.reports import chain
from keytrail.sinks.reports.report import Report

REPORTS: dict[str, Report] = {report.name: report for report in (chain.REPORT,)}

__all__ = ["REPORTS", "Report"]
