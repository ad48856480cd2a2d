"""Evidence packs: which questions show that a framework's controls work.

Sources: AICPA Trust Services Criteria (2017, points of focus of 2022), ISO/IEC 27001:2022 annex A,
Regulation (EU) 2016/679, PCI DSS 4.0.1.  The requirements are given in our own words.  A pack shows what the
audit log can show; what a control wants beside (a written policy, a training) it does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.reports import (
    access_review,
    joiner_mover_leaver,
    key_inventory,
    privileged_access,
    records,
    segregation_of_duties,
    unattributed,
)
from keytrail.sinks.reports.question import LIMIT, PERIOD, Question, cut_notes, row_limit
from keytrail.sinks.reports.report import Answer, Report, Section
from keytrail.sinks.reports.terms import Terms


@dataclass(frozen=True)
class Control:
    """`number` as the framework has it; `requirement` in a sentence."""

    number: str
    requirement: str
    questions: tuple[Question, ...]


def _pack(name: str, framework: str, controls: Sequence[Control]) -> Report:
    def answer(clickhouse: ClickHouse, given: Mapping[str, str], terms: Terms) -> Answer:
        limit = row_limit(given)
        params = {"team": "", "owner": "", **terms.params(), "limit": limit}
        answered: dict[str, Section] = {}
        sections = []
        for control in controls:
            for question in control.questions:
                if question.title not in answered:
                    answered[question.title] = question.ask(clickhouse, params)
                section = answered[question.title]
                sections.append(replace(section, control=control.number, requirement=control.requirement))
        return Answer(tuple(sections), tuple(cut_notes(tuple(answered.values()), limit)))

    numbers = ", ".join(control.number for control in controls)
    by_policy = any(question.by_policy for control in controls for question in control.questions)
    return Report(name, f"evidence for {framework}: {numbers}", {**PERIOD, **LIMIT}, answer, by_policy)


SOC2 = _pack(
    "soc2",
    "SOC 2",
    (
        Control(
            "CC6.1",
            "Access to systems is restricted, and the means of access are protected.",
            (privileged_access.HELD, key_inventory.AGES, key_inventory.KEYS),
        ),
        Control(
            "CC6.2",
            "Users are registered and authorised before they get access, and lose it when it is not due.",
            (records.CHANGES, joiner_mover_leaver.LEFT_BEHIND, unattributed.CHANGES),
        ),
        Control(
            "CC6.3",
            "Access follows roles, least privilege and segregation of duties, and is reviewed.",
            (
                access_review.HELD,
                joiner_mover_leaver.MOVES,
                segregation_of_duties.HELD_TOGETHER,
                segregation_of_duties.SELF_APPROVED,
                records.UNUSED,
            ),
        ),
        Control(
            "CC7.2",
            "Systems are watched for anomalies, and these are looked into.",
            (records.FINDINGS, records.REFUSED, records.COVERAGE),
        ),
    ),
)

ISO27001 = _pack(
    "iso27001",
    "ISO/IEC 27001:2022",
    (
        Control(
            "A.5.15",
            "Access is controlled by rules.",
            (privileged_access.HELD, segregation_of_duties.HELD_TOGETHER, records.REFUSED),
        ),
        Control(
            "A.5.16",
            "Identities are managed over their whole life.",
            (joiner_mover_leaver.MOVES, joiner_mover_leaver.LEFT_BEHIND),
        ),
        Control(
            "A.5.17",
            "Authentication information is allotted and managed.",
            (key_inventory.AGES, key_inventory.KEYS, records.KEY_CHANGES),
        ),
        Control(
            "A.5.18",
            "Access rights are granted, reviewed, changed and removed.",
            (access_review.HELD, records.CHANGES, records.UNUSED, unattributed.CHANGES),
        ),
        Control(
            "A.8.15",
            "Logs are made, kept, protected and looked at.",
            (records.COVERAGE, records.UNREADABLE, records.CHECKPOINTS, records.FINDINGS),
        ),
    ),
)

GDPR = _pack(
    "gdpr",
    "the GDPR",
    (
        Control(
            "Art. 30",
            "There are records of processing: here, which services act, and who holds access to what.",
            (records.COVERAGE, access_review.HELD),
        ),
        Control(
            "Art. 32",
            "Processing is secure: access is limited, known, tested, and its log is whole.",
            (
                privileged_access.HELD,
                records.CHANGES,
                records.UNUSED,
                records.FINDINGS,
                records.CHECKPOINTS,
            ),
        ),
    ),
)

PCI_DSS = _pack(
    "pci_dss",
    "PCI DSS 4.0.1",
    (
        Control(
            "7",
            "Access is restricted by business need to know, and reviewed.",
            (
                access_review.HELD,
                privileged_access.HELD,
                segregation_of_duties.HELD_TOGETHER,
                records.UNUSED,
                records.CHANGES,
            ),
        ),
        Control(
            "8",
            "Users are identified, and their keys are managed over their whole life.",
            (
                key_inventory.AGES,
                key_inventory.KEYS,
                records.KEY_CHANGES,
                joiner_mover_leaver.LEFT_BEHIND,
                unattributed.CHANGES,
            ),
        ),
        Control(
            "10",
            "Access is logged and watched, and the log is protected.",
            (
                records.COVERAGE,
                records.REFUSED,
                records.FINDINGS,
                records.CHECKPOINTS,
                records.UNREADABLE,
            ),
        ),
    ),
)
