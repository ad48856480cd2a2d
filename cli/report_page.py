"""A report's answer as one HTML page that needs nothing else: no script, font or picture from anywhere."""

from collections.abc import Iterable, Mapping
from html import escape

from keytrail.cli.output import printable
from keytrail.cli.report_chart import chart
from keytrail.sinks.reports.report import Answer, Report, Section
from keytrail.sinks.reports.terms import Terms

_MOST_SHOWN = 1_000
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --paper: #fff; --faint: #5b6575; --line: #d8dde5;
  --bar: #2f6fb7; --good: #1b7042; --bad: #a83232; --code: #f3f5f8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14181f; --faint: #a2acba;
  --line: #363e4a; --bar: #6ea8e6; --good: #6fce9a; --bad: #f09090; --code: #1d232d; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 76rem;
  margin: 0 auto; padding: 1.5rem; }
h1 { margin: 0; } h2 { margin: 2.5rem 0 0; border-top: 2px solid var(--line); padding-top: 1rem; }
h3 { margin: 1.5rem 0 .3rem; } p { margin: .3rem 0; } .faint { color: var(--faint); }
.good { color: var(--good); } .bad { color: var(--bad); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; margin: .6rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; min-width: 4rem; }
th { color: var(--faint); font-weight: 600; white-space: nowrap; }
pre { background: var(--code); padding: .8rem; overflow-x: auto; font-size: 12px; }
summary { cursor: pointer; color: var(--faint); }
svg { display: block; max-width: 100%; height: auto; margin: .6rem 0; font: 13px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg rect { fill: var(--bar); }
@media print { details { display: none; } }
"""


def page(report: Report, answer: Answer, terms: Terms, params: Mapping[str, str]) -> str:
    """Every value is escaped: events hold hostile strings."""
    asked = "".join(f", {name} {value}" for name, value in params.items() if name not in {"since", "until"})
    body = "\n".join(
        _section(section, before)
        for section, before in zip(answer.sections, (None, *answer.sections), strict=False)
    )
    notes = "".join(f"<p>{_text(note)}</p>\n" for note in answer.notes)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>keytrail {_text(report.name)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{_text(report.name.replace("_", " "))}</h1>
<p>{_text(report.summary)}</p>
<p class="faint">{_text(f"{terms.since[:19]} to {terms.until[:19]} UTC{asked}")}</p>
{notes}{body}
</body>
</html>"""


def _section(section: Section, before: Section | None) -> str:
    parts = []
    if section.control and (before is None or before.control != section.control):
        parts.append(f"<h2>{_text(section.control)}</h2>\n<p>{_text(section.requirement)}</p>")
    if section.title:
        tone = ("bad" if section.rows else "good") if section.exceptions else "faint"
        parts.append(f'<h3>{_text(section.title)}</h3>\n<p class="{tone}">{_text(section.result)}</p>')
    if section.bars and section.rows:
        parts.append(chart(section.rows, section.bars, section.title))
    if section.rows:
        parts.append(_table(section))
    if section.query:
        parts.append(f"<details><summary>Query</summary><pre>{escape(section.query)}</pre></details>")
    return "\n".join(parts)


def _table(section: Section) -> str:
    lines = [_line("th", section.columns)]
    lines += [_line("td", (row[name] for name in section.columns)) for row in section.rows[:_MOST_SHOWN]]
    rest = len(section.rows) - _MOST_SHOWN
    more = f'<p class="faint">{rest} more: the query, --csv and --json have them.</p>' if rest > 0 else ""
    cells = "\n".join(lines)
    return f'<div class="wide"><table>\n{cells}\n</table></div>{more}'


def _line(tag: str, values: Iterable[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_text(value)}</{tag}>' for value in values)}</tr>"


def _text(value: object) -> str:
    return escape(printable(value))
