"""Records whose bytes are wrong, written with the event's own schema or with none."""

from corpus.pieces import (
    LONG_MAX,
    LONG_MIN,
    THEN,
    YEAR_30000,
    Case,
    Part,
    Times,
    attributes,
    datum,
    long,
    some,
    text,
    until,
)

_HUGE = 2**60
_GOOD = datum()


def _raw(name: str, reason: str, defect: str, *value: Part) -> Case:
    """Without a header of ours."""
    return Case(name, reason, defect, value, schema="")


def _torn(name: str, defect: str, *value: Part) -> Case:
    return Case(name, "torn_datum", defect, value)


def _text(name: str, defect: str, **pieces: bytes) -> Case:
    return Case(name, "bad_text", defect, (datum(**pieces),))


def _large(name: str, defect: str, **pieces: bytes) -> Case:
    return Case(name, "over_size", defect, (datum(**pieces),))


def _id(name: str, defect: str, event_id: bytes) -> Case:
    return Case(name, "invalid_event", defect, (datum(event_id=text(event_id)),))


def _time(name: str, defect: str, **pieces: bytes) -> Case:
    return Case(name, "absurd_time", defect, (datum(**pieces),))


CASES = (
    Case("null_value", "null_value", "no value at all", None, schema=""),
    _raw("empty", "bad_magic", "a value of no bytes"),
    _raw("header_short", "bad_magic", "three bytes of a header", b"\0\0\0"),
    _raw("magic_one", "bad_magic", "the first byte is 1", b"\1\0\0\0\1" + _GOOD),
    _raw("magic_json", "bad_magic", "an event as JSON text", b'{"action": "grant", "subject": "alice"}'),
    _raw("magic_avro_file", "bad_magic", "an Avro file, with its schema", b"Obj\1\2\x16avro.schema"),
    Case("key_hostile", "bad_magic", "a key of every byte", (b"\xff",), schema="", key=bytes(range(256))),
    Case("key_large", "bad_magic", "a key of 300,000 bytes", (b"\xff",), schema="", key=Times(b"k", 300_000)),
    Case("key_null", "bad_magic", "no key", (b"\xff",), schema="", key=None),
    Case(
        "headers_hostile",
        "bad_magic",
        "names empty, twice, long, with controls; values without meaning; a forged note of a replay",
        (b"\xff",),
        schema="",
        headers=(
            ("", b""),
            ("trace", b"\xff\xfe"),
            ("trace", None),
            ("n" * 300, b"x"),
            ("\u202eevil\x1b[2J", b"\x1b[31m"),
            ("keytrail-replay-of", b"keytrail.events/0/0"),
        ),
    ),
    _raw("id_unknown", "unknown_schema", "an id that no registry gave", b"\0\x7f\xff\xff\xff" + _GOOD),
    _raw("id_highest", "unknown_schema", "the highest id there is", b"\0\xff\xff\xff\xff" + _GOOD),
    _torn("torn_at_once", "a header and no datum"),
    _torn("torn_in_text", "it ends within a text", until("service", 2)),
    _torn("torn_in_number", "it ends within a number", until("occurred_at", 3)),
    _torn("torn_before_branch", "it ends before a union's branch", until("key_id")),
    _torn("torn_after_branch", "it ends after a union's branch", until("key_id", 1)),
    _torn("torn_in_array", "it ends within an array", until("permissions", 4)),
    _torn("torn_before_array_end", "it ends before the end of an array is told", until("resource", -1)),
    _torn("torn_in_map", "it ends within a map", until("attributes", 3)),
    _torn("torn_by_a_byte", "the last byte is missing", _GOOD[:-1]),
    _torn("left_zero", "a byte is left over", _GOOD + b"\0"),
    _torn("left_datum", "two datums in one value", _GOOD + _GOOD),
    _torn("left_much", "900,000 bytes are left over", _GOOD, Times(b"\0", 900_000)),
    _torn("all_zero", "nothing but zeros", Times(b"\0", 900_000)),
    _torn("all_one", "nothing but ones", Times(b"\xff", 1_000)),
    _torn("length_negative", "a text of -5 bytes", datum(service=long(-5) + b"iam")),
    _torn("length_lowest", "a text of -2^63 bytes", datum(service=long(LONG_MIN) + b"iam")),
    _torn("length_past_end", "a text longer than the rest", datum(service=long(5_000) + b"iam")),
    _torn("length_absurd", "a text of 2^62 bytes", datum(service=long(2**62) + b"iam")),
    _torn("number_11_bytes", "a number spelled in eleven bytes", datum(sequence=b"\x80" * 10 + b"\0")),
    _torn("number_long", "a number spelled in 900,000 bytes", until("occurred_at"), Times(b"\x80", 900_000)),
    _torn("number_65_bits", "a number that 64 bits do not hold", datum(sequence=b"\xff" * 9 + b"\x7f")),
    _torn("branch_negative", "a union's branch -1", datum(role=b"\1" + text(b"reader"))),
    _torn("branch_third", "the third of a union's two branches", datum(role=b"\4" + text(b"reader"))),
    _torn("branch_absurd", "a union's branch 2^60", datum(role=long(_HUGE) + text(b"reader"))),
    _torn("array_count_absurd", "an array of 2^60 texts", datum(permissions=long(_HUGE))),
    _torn("array_count_lowest", "an array of -2^63 texts", datum(permissions=long(LONG_MIN) + b"\2")),
    _torn(
        "array_count_beyond",
        "an array of 2^60 texts, of which 900,000 are there",
        until("permissions") + long(_HUGE),
        Times(b"\0", 900_000),
    ),
    _torn(
        "array_block_absurd",
        "an array's block of -2^60 texts that says it has 2^60 bytes",
        datum(permissions=long(-_HUGE) + long(_HUGE)),
    ),
    _torn(
        "array_block_long",
        "an array's block says it has 50 bytes and has 5",
        datum(permissions=long(-1) + long(50) + text(b"read") + b"\0"),
    ),
    _torn(
        "array_block_negative",
        "an array's block says it has -5 bytes",
        datum(permissions=long(-1) + long(-5) + text(b"read") + b"\0"),
    ),
    _torn("map_count_absurd", "a map of 2^60 entries", datum(attributes=long(_HUGE))),
    _torn(
        "map_block_short",
        "a map's block says it has a byte and has 4",
        datum(attributes=long(-1) + long(1) + text(b"a") + text(b"b") + b"\0"),
    ),
    _torn(
        "map_key_twice",
        "a map names a key twice: readers differ over which of the two holds",
        datum(attributes=attributes((b"team", b"a"), (b"team", b"b"))),
    ),
    _text("text_event_id", "an event id that is not UTF-8", event_id=text(b"\xff" * 36)),
    _text("text_key_id", "a key id that is not UTF-8", key_id=some(text(b"pk_\xff"))),
    _text("text_subject", "a subject in Latin-1", subject=some(text(b"andr\xe9 b"))),
    _text("text_role", "a role that is not UTF-8", role=some(text(b"\x80"))),
    _text("text_attribute", "an attribute's name is not UTF-8", attributes=attributes((b"\xfe", b""))),
    _text("text_surrogate", "half of a surrogate pair", subject=some(text(b"\xed\xa0\x80"))),
    _text("text_surrogates", "a surrogate pair as two", subject=some(text(b"\xed\xa0\xbd\xed\xb8\x80"))),
    _text("text_overlong", "NUL spelled in two bytes", subject=some(text(b"\xc0\x80"))),
    _text("text_beyond", "a code point above U+10FFFF", subject=some(text(b"\xf5\x80\x80\x80"))),
    _text("text_cut", "a text that ends within a character", reason=some(text("fü".encode()[:2]))),
    Case("size_value", "over_size", "a value of more than a megabyte", (_GOOD, Times(b"\0", 1_000_000))),
    _raw("size_of_nothing", "over_size", "a megabyte that is no event", Times(b"\0", 1_000_001)),
    _raw("size_of_batch", "over_size", "as much as a batch may hold by default", Times(b"x", 1_048_000)),
    _large("size_subject", "a subject of 5,000 characters", subject=some(text(b"s" * 5_000))),
    _large("size_role", "a role of 5,000 characters", role=some(text(b"r" * 5_000))),
    _large("size_key_id", "a key id of 5,000 characters", key_id=some(text(b"k" * 5_000))),
    _large("size_team", "a team of 5,000 characters", attributes=attributes((b"team", b"t" * 5_000))),
    _id("event_id_empty", "no event id", b""),
    _id("event_id_word", "an event id that is no UUID", b"1"),
    _id("event_id_long", "a UUID and a line's end", b"018fd3a5-6c00-7000-8000-00000000c0de\n"),
    _id("event_id_braces", "a UUID in braces", b"{018fd3a5-6c00-7000-8000-00000000c0}"),
    _id(
        "event_id_digits",
        "a UUID with a digit of another script",
        "\u066018fd3a5-6c00-7000-8000-00000000c0de".encode(),
    ),
    _id("event_id_nul", "a UUID with a NUL", b"018fd3a5-6c00-7000-8000-00000000c0d\0"),
    _time("time_zero", "it happened when 1970 began", occurred_at=long(0)),
    _time("time_negative", "it happened before 1970", occurred_at=long(-THEN)),
    _time("time_lowest", "it happened at the lowest number", occurred_at=long(LONG_MIN)),
    _time("time_highest", "it happened at the highest number", occurred_at=long(LONG_MAX)),
    _time("time_year_30000", "it happened in the year 30000", occurred_at=long(YEAR_30000)),
    _time("time_nanoseconds", "a time in nanoseconds", occurred_at=long(THEN * 1000)),
    _time("time_milliseconds", "a time in milliseconds", occurred_at=long(THEN // 1000)),
    _time("time_recorded_lowest", "recorded at the lowest number", recorded_at=long(LONG_MIN)),
    _time("time_recorded_30000", "recorded in the year 30000", recorded_at=long(YEAR_30000)),
    _time("time_expires_negative", "a grant until before 1970", expires_at=some(long(-1))),
    _time("time_expires_30000", "a grant until the year 30000", expires_at=some(long(YEAR_30000))),
)
