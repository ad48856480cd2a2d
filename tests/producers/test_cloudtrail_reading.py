import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from event_strategies import any_json
from hypothesis import given, settings
from hypothesis import strategies as st

from keytrail.producers.cloudtrail import Found, Problem, read_records
from keytrail.producers.cloudtrail.files import STDIN, find_files, read_text
from keytrail.schemas.errors import UsageError

# As CloudTrail writes them: `eventVersion` comes first.
records = st.lists(
    st.builds(
        lambda event_id, value: {"eventVersion": "1.08", "eventID": event_id, "any": value},
        st.text(max_size=5),
        any_json,
    ),
    max_size=6,
)
Shape = Any


def pieces_of(text: str, size: int) -> Iterator[str]:
    return (text[i : i + size] for i in range(0, len(text), size))


def as_log(given_records: list[Any]) -> str:
    return json.dumps({"Records": given_records})


SHAPES: dict[str, Shape] = {
    "log": as_log,
    "log, indented": lambda r: json.dumps({"Records": r}, indent=2) + "\n",
    "records last": lambda r: json.dumps({"source": "s3", "Records": r}),
    "lines": lambda r: "".join(json.dumps(record) + "\n" for record in r),
    "array": json.dumps,
    "logs one behind the other": lambda r: "".join(as_log([record]) for record in r),
    "indented records": lambda r: "\n".join(json.dumps(record, indent=1) for record in r),
}


def normal(value: Any) -> Any:
    """NaN is not equal to itself; its text is."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@given(records, st.integers(1, 5_000))
def test_every_record_is_found_in_order_whatever_the_shape_and_the_pieces(
    shape: Shape, given_records: list[Any], size: int
) -> None:
    found = list(read_records("log", pieces_of(shape(given_records), size)))

    assert [normal(item.record) for item in found if isinstance(item, Found)] == list(
        map(normal, given_records)
    )
    assert len(found) == len(given_records)
    assert [item.place.number for item in found] == list(range(1, len(found) + 1))


BROKEN = {
    "a bad value": '{"eventVersion": "1.08", "eventID": bad}',
    "a bracket too few": '{"eventVersion": "1.08", "x": [}',
    "no end": '{"eventVersion": "1.08", "x": {"y": 1',
    "no closing quote": '{"eventVersion": "1.08", "x: 1}',
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@given(records, st.data(), st.sampled_from(["log", "lines", "array"]))
def test_a_broken_record_is_named_and_the_others_are_read(
    broken: str, given_records: list[Any], data: st.DataObject, shape: str
) -> None:
    where = data.draw(st.integers(0, len(given_records)))
    marked = [*given_records[:where], "BROKEN", *given_records[where:]]
    text = SHAPES[shape](marked).replace('"BROKEN"', broken)

    found = list(read_records("log", pieces_of(text, 100)))

    read = [normal(item.record) for item in found if isinstance(item, Found)]
    assert read == list(map(normal, given_records))
    problems = [item for item in found if isinstance(item, Problem)]
    assert [problem.place.number for problem in problems] == [where + 1]
    assert text[problems[0].place.offset :].startswith(broken)


def test_without_a_version_first_brackets_tell_where_a_broken_record_ends() -> None:
    found = list(read_records("log", iter(['[{"a": 1}, {"b": [bad, "]"]}, {"c": 3}]'])))
    assert [item.record if isinstance(item, Found) else None for item in found] == [{"a": 1}, None, {"c": 3}]


@given(records, st.data())
def test_a_torn_log_gives_its_whole_records_and_one_problem(
    given_records: list[Any], data: st.DataObject
) -> None:
    text = as_log(given_records)
    cut = data.draw(st.integers(len('{"Records": ['), len(text) - 2))

    found = list(read_records("log", pieces_of(text[:cut], 50)))

    whole = [normal(item.record) for item in found if isinstance(item, Found)]
    assert whole == list(map(normal, given_records))[: len(whole)]
    assert [type(item) for item in found[len(whole) :]] == [Problem]


@settings(max_examples=300)
@given(st.text(st.sampled_from('{}[]",:\\ \n01eR') | st.characters(), max_size=60), st.integers(1, 20))
def test_no_text_makes_reading_raise_or_never_end(text: str, size: int) -> None:
    found = list(read_records("text", pieces_of(text, size)))
    assert len(found) <= len(text) + 1


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"Records": [' + '{"a":' * 100_000,
        '{"n": ' + "9" * 5_000 + "}",
        '"' * 100_000,
    ],
    ids=["deep arrays", "deep objects", "a long number", "quotes"],
)
def test_text_made_to_hurt_is_a_problem(text: str) -> None:
    found = list(read_records("text", pieces_of(text, 10_000)))
    assert found
    assert all(isinstance(item, Problem) for item in found)


def test_a_record_longer_than_any_is_skipped_without_being_held() -> None:
    def text() -> Iterator[str]:
        yield '{"Records": [{"eventVersion": "1.08", "x": "'
        for _ in range(12):
            yield "x" * 1_000_000
        yield '"}, {"eventVersion": "1.08", "eventID": "next"}]}'

    found = list(read_records("log", text()))

    assert [type(item) for item in found] == [Problem, Found]


def read(path: Path) -> list[Found | Problem]:
    nothing = io.BufferedReader(io.BytesIO())
    return list(read_records(path.name, read_text(path, nothing)))


def test_compressed_files_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_bytes(gzip.compress(as_log([{"n": 1}]).encode()) + gzip.compress(as_log([{"n": 2}]).encode()))
    assert [item.record for item in read(path) if isinstance(item, Found)] == [{"n": 1}, {"n": 2}]


def test_a_torn_compressed_file_gives_what_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "log.json.gz"
    whole = gzip.compress(as_log([{"n": n, "pad": f"{hash(str(n)):064x}"} for n in range(50_000)]).encode())
    path.write_bytes(whole[: len(whole) // 2])

    found = read(path)

    assert len(found) > 10_000
    assert [type(item) for item in found if not isinstance(item, Found)] == [Problem]
    assert "cannot be read on" in str(found[-1])


def test_bytes_that_are_not_utf8_do_not_lose_the_record(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_bytes(b'\xef\xbb\xbf{"Records": [{"a": "\xff"}]}')
    assert [item.record for item in read(path) if isinstance(item, Found)] == [{"a": "\udcff"}]


def test_a_file_that_cannot_be_opened_is_a_problem(tmp_path: Path) -> None:
    gone = tmp_path / "gone.json"
    assert [type(item) for item in read(gone)] == [Problem]


def test_folders_are_searched_in_order_for_logs_alone(tmp_path: Path) -> None:
    for name in ("b/2.json.gz", "b/1.json", "a.jsonl", "LICENSE", "CloudTrail-Digest/d.json.gz", "named"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()

    found = list(find_files([tmp_path, tmp_path / "named", STDIN]))

    assert [str(path.relative_to(tmp_path)) for path in found[:-1]] == [
        "a.jsonl",
        "b/1.json",
        "b/2.json.gz",
        "named",
    ]
    assert found[-1] == STDIN


def test_a_path_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gone"):
        find_files([tmp_path, tmp_path / "gone"])
