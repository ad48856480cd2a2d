"""What was signed: the checkpoints of the table, the topic and an anchor, opened and put in order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from keytrail.schemas.records import Micros
from keytrail.sinks.proof.checkpoint import Checkpoint, Log
from keytrail.sinks.proof.journal import KEYS_KEY, Journal
from keytrail.sinks.proof.merkle import Edge
from keytrail.sinks.proof.note import NoteError
from keytrail.sinks.proof.store import Entry, ProofTables
from keytrail.sinks.proof.trust import TITLE, Trust

TABLE = "the table checkpoints"
TOPIC = "the topic keytrail.checkpoints"
ANCHOR = "the anchor"
# The notary may be between the topic and the table.
_UNDER_WAY_US = 60_000_000
_NO_CHANGE = (
    "A change of keys does not count: no trusted key has signed it, or one that has another successor or has"
    " ended.  If it is right, add the new key to the trusted ones."
)


@dataclass(frozen=True)
class Problem:
    """With what was signed, not with the events; `what` is a sentence."""

    log: Log | None
    what: str


@dataclass(frozen=True)
class Signed:
    """A checkpoint, the edge of its tree where that is known to be right, and where it was found."""

    checkpoint: Checkpoint
    edge: Edge | None
    found_in: frozenset[str]


@dataclass(frozen=True)
class Evidence:
    """Each log's checkpoints by size, one a size, and what is wrong with what was found."""

    signed: dict[Log, list[Signed]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def gather(
    trust: Trust, tables: ProofTables | None, journal: Journal | None, anchor: Sequence[str], partitions: int
) -> Evidence:
    """`tables` None leaves ClickHouse out, `journal` None the topic.  `trust` takes in the changes of keys
    that are found.

    Raises `UnavailableError` where an engine does not answer.
    """
    handovers = [
        *(tables.handovers() if tables else ()),
        *(note for note in anchor if note.startswith(TITLE)),
    ]
    entries: list[tuple[str, Log | None, Entry]] = []
    if tables:
        for log in tables.logs():
            entries += [(TABLE, log, entry) for entry in tables.entries(log)]
    for partition in range(partitions if journal else 0):
        for key, entry in journal.all(partition) if journal else ():
            if key == KEYS_KEY:
                handovers.append(entry.note)
            else:
                entries.append((TOPIC, None, entry))
    entries += [(ANCHOR, None, Entry(note, b"")) for note in anchor if not note.startswith(TITLE)]
    problems = [Problem(None, _NO_CHANGE) for _ in trust.follow(handovers)]
    return _in_order(trust, entries, problems, with_table=tables is not None)


def _in_order(
    trust: Trust,
    entries: Iterable[tuple[str, Log | None, Entry]],
    problems: list[Problem],
    *,
    with_table: bool,
) -> Evidence:
    found: dict[tuple[Log, int], dict[bytes, Signed]] = {}
    for where, log, entry in entries:
        try:
            checkpoint = trust.open(entry.note)
            if log not in (None, checkpoint.log):
                raise NoteError("It is another log's.")
        except NoteError as error:
            name = log.origin if log else "a log"
            problems.append(Problem(log, f"In {where} a checkpoint of {name} cannot be believed: {error}"))
            continue
        of_size = found.setdefault((checkpoint.log, checkpoint.size), {})
        known = of_size.get(checkpoint.root) or Signed(checkpoint, None, frozenset())
        edge = known.edge or _edge(checkpoint, entry)
        of_size[checkpoint.root] = Signed(known.checkpoint, edge, known.found_in | {where})
    evidence = Evidence(problems=problems)
    for (log, size), roots in sorted(found.items()):
        if len(roots) > 1:
            problems.append(Problem(log, f"Two checkpoints of {size} records contradict each other."))
        evidence.signed.setdefault(log, []).append(next(iter(roots.values())))
    newest = max((s.checkpoint.at for of in evidence.signed.values() for s in of), default=0)
    for log, signed in evidence.signed.items():
        problems += _missing(log, signed, newest) if with_table else ()
        problems += _backward(log, signed)
    return evidence


def _missing(log: Log, signed: Sequence[Signed], newest: Micros) -> Iterable[Problem]:
    """The table must have each checkpoint that is found elsewhere, but for one under way."""
    for each in signed:
        under_way = each is signed[-1] and each.checkpoint.at > newest - _UNDER_WAY_US
        if TABLE not in each.found_in and not (under_way and TOPIC in each.found_in):
            where = " and ".join(sorted(each.found_in))
            what = (
                f"A checkpoint of {each.checkpoint.size} records, which {where} has, is missing in {TABLE}."
            )
            yield Problem(log, what)


def _backward(log: Log, signed: Sequence[Signed]) -> Iterable[Problem]:
    for older, newer in pairwise(signed):
        if newer.checkpoint.before <= older.checkpoint.before:
            size = newer.checkpoint.size
            yield Problem(log, f"The checkpoint of {size} records covers no more offsets than a smaller one.")


def _edge(checkpoint: Checkpoint, entry: Entry) -> Edge | None:
    try:
        edge = Edge.of_size(checkpoint.size, entry.edge)
    except ValueError:
        return None
    return edge if edge.root() == checkpoint.root else None
