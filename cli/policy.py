"""`keytrail policy`: the files that the rules are tuned by."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from keytrail.cli import applied_policy
from keytrail.cli.options import connection_flags, json_flag
from keytrail.cli.output import print_json, print_table, printable
from keytrail.stream.policies.cases import run as run_case
from keytrail.stream.policies.cases_file import read_cases
from keytrail.stream.policies.diff import differences
from keytrail.stream.policies.file import policy_text, read_policy
from keytrail.stream.policies.form import json_schema
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.role_twins import twins


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    check = verbs.add_parser("check", help="say all that is wrong with a file, or its policy's version")
    check.add_argument("file", type=Path, metavar="FILE")
    show = verbs.add_parser("show", help="the whole policy, with what the file leaves out")
    show.add_argument("file", type=Path, nargs="?", metavar="FILE", help="without it, the policy in force")
    show.add_argument("--built-in", action="store_true", help="the built-in policy")
    connection_flags(show)
    apply = verbs.add_parser("apply", help="let all workers go by a file, from the next events on")
    apply.add_argument("file", type=Path, metavar="FILE")
    apply.add_argument("--reason", required=True, metavar="TEXT")
    apply.add_argument("--ticket", metavar="ID")
    apply.add_argument("--actor", metavar="NAME", help="who does this; default: the user of this machine")
    apply.add_argument("--key", metavar="ID", help="the admin's key that this is done with")
    connection_flags(apply)
    history = verbs.add_parser("history", help="the policies that were applied")
    json_flag(history)
    connection_flags(history)
    diff = verbs.add_parser("diff", help="what differs; exit code 1 where something does")
    diff.add_argument("file", type=Path, metavar="FILE")
    diff.add_argument(
        "other", type=Path, nargs="?", metavar="OTHER", help="without it, FILE against the built-in policy"
    )
    json_flag(diff)
    test = verbs.add_parser("test", help="judge the events of a file of cases; exit code 1 where one fails")
    test.add_argument("file", type=Path, metavar="FILE")
    test.add_argument("cases", type=Path, metavar="CASES")
    json_flag(test)
    verbs.add_parser("schema", help="JSON Schema of the file, for editors")


def run(options: argparse.Namespace) -> int:
    match options.verb:
        case "check":
            return _check(options.file)
        case "show" if options.file is not None or options.built_in:
            sys.stdout.write(policy_text(read_policy(options.file) if options.file else Policy()))
            return 0
        case "show":
            return applied_policy.show(options)
        case "apply":
            return applied_policy.apply(options)
        case "history":
            return applied_policy.history(options)
        case "schema":
            print(json.dumps(json_schema(), indent=2))
            return 0
        case "test":
            return _test(options)
        case _:
            return _diff(options)


def _check(file: Path) -> int:
    policy = read_policy(file)
    print(f"{file} is fine: policy {policy.version}.")
    for pair in twins(policy.role_model):
        differ = (
            f"nearly the same: {pair.differ} of {pair.of} permissions differ" if pair.differ else "the same"
        )
        print(f"{printable(pair.one)} and {printable(pair.other)} give {differ}. One of them may do.")
    return 0


def _test(options: argparse.Namespace) -> int:
    policy = read_policy(options.file)
    outcomes = [run_case(case, policy) for case in read_cases(options.cases)]
    if options.json:
        print_json({**asdict(outcome), "is_fine": outcome.is_fine} for outcome in outcomes)
    else:
        for outcome in outcomes:
            print(f"{'ok' if outcome.is_fine else 'FAILED'}  {outcome.case}")
            for what, findings in (("not found", outcome.missed), ("not expected", outcome.unexpected)):
                for finding in findings:
                    print(f"    {what}: {' '.join(filter(None, vars(finding).values()))}")
    return 0 if all(outcome.is_fine for outcome in outcomes) else 1


def _diff(options: argparse.Namespace) -> int:
    """From the first file to the second, or from the built-in policy to the file."""
    if options.other is None:
        found = differences(Policy(), read_policy(options.file))
    else:
        found = differences(read_policy(options.file), read_policy(options.other))
    if options.json:
        print_json(vars(difference) for difference in found)
    elif found:
        rows = ((d.field, _shown(d.before), _shown(d.after)) for d in found)
        print_table(("field", "before", "after"), rows)
    return 1 if found else 0


def _shown(value: object) -> str:
    """A value as in the file, or nothing."""
    return "" if value is None else json.dumps(value, ensure_ascii=False)
