"""Malformed and hostile records: each is set aside with a reason, and reading always ends."""

from collections import Counter
from itertools import islice
from typing import get_args

import pytest
from corpus import make
from corpus.mutations import mutants
from corpus.reading import HERE, Sample, load
from world import EVENT_ID, NOON, FixedRegistry

from keytrail.schemas import avro
from keytrail.schemas.records import DeadReason
from keytrail.stream.reading.reading import EventReader, Readable, Unreadable
from keytrail.stream.reading.source import Record
from keytrail.stream.worker.at_hand import Slot

MUTANTS = 12_000
COMMITTED = ("event", "key", "enriched")


class CorpusRegistry(FixedRegistry):
    """Gives each schema of the corpus an id, as a registry would that takes anything."""

    def id_of(self, schema: str) -> int:
        text = avro.schema_text(schema) if schema in COMMITTED else schema
        for schema_id, known in self.texts.items():
            if known == text:
                return schema_id
        self.texts[len(self.texts) + 1] = text
        return len(self.texts)


def read(sample: Sample) -> Readable | Unreadable:
    registry = CorpusRegistry()
    reader = EventReader(registry, lambda: NOON, Slot())  # type: ignore[arg-type]
    return reader.read(Record(0, sample.value(registry.id_of), sample.key, headers=sample.headers))


def test_the_files_are_those_that_the_cases_give() -> None:
    files = make.files()
    found = {path.relative_to(HERE): path.read_text() for path in HERE.glob("*/*.json")}
    assert found.keys() == files.keys(), "run `python -m corpus.make` in tests/"
    assert all(found[path] == content for path, content in files.items())
    assert all(len(content) < 60_000 for content in found.values()), "files of a corpus are small"


@pytest.mark.parametrize("sample", load("malformed"), ids=lambda sample: sample.name)
def test_a_malformed_record_has_its_reason(sample: Sample) -> None:
    found = read(sample)
    assert isinstance(found, Unreadable)
    assert found.reason == sample.reason, found.detail
    assert found.detail
    assert found.remedy


@pytest.mark.parametrize("sample", load("odd"), ids=lambda sample: sample.name)
def test_an_odd_record_is_an_event_all_the_same(sample: Sample) -> None:
    found = read(sample)
    assert isinstance(found, Readable), found
    assert sample.content == found.datum


def test_every_reason_has_a_case() -> None:
    # What no record's own bytes can be: refused by ClickHouse, in a damaged batch, deadly for the process.
    elsewhere = {"rejected_by_clickhouse", "unreadable_batch", "poison"}
    assert {s.reason for s in load("malformed")} == set(get_args(DeadReason)) - elsewhere


def test_thousands_of_mutants_raise_nothing_and_have_a_reason_each() -> None:
    reader = EventReader(FixedRegistry(), lambda: NOON, Slot())  # type: ignore[arg-type]
    counts: Counter[str] = Counter()
    for number, mutant in enumerate(islice(mutants(7, EVENT_ID), MUTANTS)):
        found = reader.read(Record(number, mutant.value))
        if isinstance(found, Unreadable):
            assert found.reason in get_args(DeadReason)
            assert mutant.reason in (None, found.reason), (mutant, found)
            counts[found.reason] += 1
        else:
            assert mutant.reason is None, mutant
    assert counts.total() >= 10_000
    assert len(counts) >= 6
