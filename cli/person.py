"""`keytrail person`: what is held on a person, readable for whoever has the secrets of privacy mode."""

import argparse
from collections.abc import Iterator

from keytrail.cli.erase import secrets_of
from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_json, print_table, progress
from keytrail.producers.subject_keys import records_of
from keytrail.schemas.masters import MasterFile
from keytrail.schemas.privacy import NamedKey
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.person import opened, rows_of

_COLUMNS = ("occurred_at", "actor_id", "action", "subject", "role", "reason", "source_ip")


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    show = verbs.add_parser("show", help="a person's names, pseudonym and events, opened")
    export = verbs.add_parser("export", help="all that is held on a person, as JSON lines (GDPR, Art. 15)")
    for verb in (show, export):
        verb.add_argument("subject", metavar="SUBJECT", help="the person's name, or their pseudonym")
    secret = verbs.add_parser("secret", help="make a secret for privacy mode, the first or the next")
    for verb in (show, export, secret):
        connection_flags(verb)
    json_flag(show)


def run(options: argparse.Namespace) -> int:
    if options.verb == "secret":
        path = settings_from(options, needs=()).privacy_secrets
        path.parent.mkdir(parents=True, exist_ok=True)
        made = MasterFile(path).add()
        progress(f"{path} now holds the secret {made}. Keep a copy: it cannot be made anew.")
        return 0
    settings = settings_from(options, needs=("kafka", "clickhouse"))
    secrets = secrets_of(settings)
    pseudonym = secrets.pseudonym(options.subject)
    records = records_of(settings.kafka, pseudonym)
    keys = [secrets.unwrap(name, value) for name, value in records.items()]
    names = {pseudonym, *(key.name for key in keys if key.name)}
    if options.subject != pseudonym:
        names.add(options.subject)
    if options.verb == "export":
        print_json(_everything(settings, names, keys))
        return 0
    progress(f"{pseudonym}: {len(keys)} keys; known as {', '.join(sorted(names - {pseudonym})) or 'nobody'}.")
    events = (row for row in _everything(settings, names, keys) if row["table"] == "events")
    if options.json:
        print_json(events)
    else:
        print_table(_COLUMNS, [[row.get(name) for name in _COLUMNS] for row in events])
    return 0


def _everything(settings: Settings, names: set[str], keys: list[NamedKey]) -> Iterator[dict[str, object]]:
    """Also what was recorded under the names themselves, before privacy mode was on."""
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    for key in keys:
        yield {
            "table": "subject_keys",
            "pseudonym": key.key.pseudonym,
            "name": key.name,
            "made_at": key.made_at,
        }
    by_id = {(key.key.pseudonym, key.key.key_id): key.key for key in keys}
    for table, row in rows_of(clickhouse, sorted(names)):
        yield {"table": table, **opened(row, by_id)}
