"""What partitions tell of numbers: through the topic, to one place, and of an earlier version."""

from numbering import RUN, loss, numbered, rows, ticks, told
from reporting import HOUR, by_time, others, reports
from test_triage import ADMIN, decided
from world import NOON, World

from keytrail.schemas import avro
from keytrail.schemas.records import Attendance, NumberBlock, RunNumbers, Signal
from keytrail.schemas.triage import CLOSE
from keytrail.stream.findings.signals import routing_key
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.sequences.run import NOT_YET
from keytrail.stream.sequences.watch import SequenceWatch


def test_numbers_come_through_the_topic_as_they_were_and_decisions_go_where_they_are() -> None:
    world = World()
    [output] = world.send(*numbered([1, 2, 5_000]), *loss(4, 3, 6, 8), *others(0))
    carried = [one for one in output.signals if one.attendance and one.attendance.numbers]
    schema = avro.parse(avro.schema_text("signal"))
    for one in carried:
        assert avro.decoder(Signal, schema, schema)(avro.encoder(schema)(one), 0) == one
    [numbers, lost] = sorted(
        (each for one in carried if one.attendance for each in one.attendance.numbers),
        key=lambda n: len(n.lost),
    )
    assert [(block.block, block.bits) for block in numbers.blocks] == [
        (0, bytes([0b110, 0b1])),
        (4, (1 << (5_000 - 4_096)).to_bytes(114, "little")),
    ]
    assert (lost.blocks, lost.lost[0].count) == ([], 4)
    found = told(numbered([1, 3]))["job"]
    [close] = World([ADMIN]).send(decided(CLOSE, found))
    [decision] = [signal for signal in close.signals if signal.triage]
    assert routing_key(decision) == routing_key(carried[0])


def test_numbers_of_an_earlier_version_are_not_missed() -> None:
    """A partition whose worker told none holds the rule back, and what it did not tell is no hole."""
    watch, version = SequenceWatch(Timeline(Policy()), partitions=2), Policy().version

    def tell(partition: int, hour: int, bits: int, begin: int) -> list[tuple[str, int]]:
        block = NumberBlock(0, bits.to_bytes(8, "little"))
        numbers = [RunNumbers(RUN, "job", hour, [block])] if bits else []
        watch.take(Attendance(partition, hour, [], numbers=numbers, numbers_from=begin), version)
        return [(one.entity, one.count) for one in watch.judge(hour)]

    assert tell(0, 10, 0b00010, 10) == []
    assert tell(1, 10, 0, NOT_YET) == []
    assert tell(0, 20, 0b01000, 10) == []
    assert tell(1, 20, 0b10000, 20) == []
    assert tell(0, 23, 0b100000, 10) == []
    assert tell(1, 30, 0b10000000, 20) == []
    assert tell(0, 40, 0, 10) == [("job", 1)]


def test_one_service_of_today_hides_no_hole_of_the_past_that_comes_after_it() -> None:
    """As what `policy apply` writes does not, where an older past is read after it."""
    world = World(clock=lambda: NOON + 10_000 * HOUR)
    past = by_time(ticks(-60, 200), numbered([1, 2, 3, 6, 7], 50), numbered([8], 52))
    world.send(*reports("keytrail", [5_000]), *past, batch=100)
    assert rows(world)["job"].count == 2
