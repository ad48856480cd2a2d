"""The `_schemas` topic: Confluent's form is read and written, and a replay gives the same registry."""

from hypothesis import given, settings
from hypothesis import strategies as st

from keytrail.deploy.embedded.registry.compatibility import Level
from keytrail.deploy.embedded.registry.records import (
    LevelSet,
    Record,
    SchemaRecord,
    SchemaRemoved,
    SubjectDeleted,
    decode,
    encode,
)
from keytrail.deploy.embedded.registry.store import Store

SUBJECTS = st.sampled_from(["events-value", "keys-value", "anomalies-value"])
VERSIONS = st.integers(1, 4)
TEXTS = st.sampled_from(['"int"', '"long"', '"string"'])
RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(SchemaRecord, SUBJECTS, VERSIONS, st.integers(1, 9), TEXTS, st.booleans()),
    st.builds(SchemaRemoved, SUBJECTS, VERSIONS),
    st.builds(SubjectDeleted, SUBJECTS, VERSIONS),
    st.builds(LevelSet, st.none() | SUBJECTS, st.none() | st.sampled_from(Level)),
)


@settings(deadline=None)
@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert decode(*encode(record)) == record


@settings(deadline=None)
@given(st.binary() | st.none(), st.binary() | st.none())
def test_what_is_no_record_is_skipped(key: bytes | None, value: bytes | None) -> None:
    assert decode(key, value) is None


def test_confluents_records_are_read() -> None:
    key = b'{"keytype":"SCHEMA","subject":"s","version":2,"magic":1}'
    value = (
        b'{"subject":"s","version":2,"id":7,"md5":"x","schema":"\\"int\\"","references":[],'
        b'"ruleSet":null,"deleted":false}'
    )
    assert decode(key, value) == SchemaRecord("s", 2, 7, '"int"')
    assert decode(key, None) == SchemaRemoved("s", 2)
    config = b'{"keytype":"CONFIG","subject":null,"magic":0}'
    assert decode(config, b'{"compatibilityLevel":"FULL"}') == LevelSet(None, Level.FULL)
    deletion = b'{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}'
    assert decode(deletion, b'{"subject":"s","version":2}') == SubjectDeleted("s", 2)
    assert decode(b'{"keytype":"NOOP","magic":0}', None) is None
    assert decode(b'{"keytype":"MODE","subject":null,"magic":0}', b'{"mode":"READONLY"}') is None


@settings(deadline=None)
@given(st.lists(RECORDS, max_size=20))
def test_the_compacted_topic_has_the_same_latest_records(records: list[Record]) -> None:
    """What compaction keeps of versions and levels is enough: only soft deletions depend on the order."""
    plain = [record for record in records if not isinstance(record, SubjectDeleted)]
    last = {encode(record)[0]: index for index, record in enumerate(plain)}
    compacted = [record for index, record in enumerate(plain) if last[encode(record)[0]] == index]
    full, short = Store(), Store()
    for record in plain:
        full.apply(record)
    for record in compacted:
        short.apply(record)
    for subject in full.subjects(deleted=True) + short.subjects(deleted=True):
        assert full.versions(subject, deleted=True) == short.versions(subject, deleted=True)
        assert full.level(subject) == short.level(subject)
    assert full.subjects() == short.subjects()
    assert full.level(None) == short.level(None)


def test_a_subjects_deletion_spares_later_versions() -> None:
    store = Store()
    for record in (
        SchemaRecord("s", 1, 1, '"int"'),
        SubjectDeleted("s", 1),
        SchemaRecord("s", 2, 2, '"long"'),
    ):
        store.apply(record)
    assert [version.version for version in store.versions("s")] == [2]
    assert [version.version for version in store.versions("s", deleted=True)] == [1, 2]
    assert store.text_of(1) == '"int"'
    store.apply(SchemaRemoved("s", 1))
    assert store.text_of(1) is None
