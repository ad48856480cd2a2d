"""A report's answer as tables, JSON lines or CSV."""

import csv
import sys
from textwrap import indent

from keytrail.cli.output import print_json, print_table, printable
from keytrail.sinks.reports.report import Answer, Section
from keytrail.sinks.reports.terms import Terms


def print_tables(answer: Answer, terms: Terms) -> None:
    """Sections with a control, as an evidence pack has, show the period and the query."""
    for number, section in enumerate(answer.sections):
        if section.title:
            print("\n" * bool(number) + f"{_heading(section)}: {section.result}")
        if section.control:
            print(
                f"{section.requirement}  {terms.since} to {terms.until} UTC.\n{indent(section.query, '    ')}"
            )
        print_table(section.columns, ([row[name] for name in section.columns] for row in section.rows))


def print_objects(answer: Answer, terms: Terms) -> None:
    """The rows where there is one section; else one object a section, with its rows in it."""
    if len(answer.sections) == 1:
        print_json(answer.sections[0].rows)
        return
    print_json(
        {
            "control": section.control,
            "requirement": section.requirement,
            "question": section.title,
            "since": terms.since,
            "until": terms.until,
            "result": section.result,
            "query": section.query,
            "rows": section.rows,
        }
        for section in answer.sections
    )


def print_csv(answer: Answer) -> None:
    """Every column.  Where there are several sections each has a heading, and an empty line before it."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for number, section in enumerate(answer.sections):
        if len(answer.sections) > 1:
            writer.writerows([[]] * bool(number))
            writer.writerow([_cell(_heading(section)), section.result])
        if section.rows:
            writer.writerow(section.rows[0])
        for row in section.rows:
            writer.writerow([_cell(value) for value in row.values()])


def _heading(section: Section) -> str:
    return f"{section.control} {section.title}".strip()


def _cell(value: object) -> str:
    """Text that no spreadsheet takes for a formula: events hold hostile strings."""
    text = printable(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
