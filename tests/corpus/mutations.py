"""Malformed records by the thousand: what can go wrong with an event's bytes, at random and repeatable."""

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from corpus.pieces import PIECES, THEN, datum, long, some, text

from keytrail.schemas import wire

UNKNOWN_IDS = 20


@dataclass(frozen=True)
class Mutant:
    """`reason` is what it must be set aside for; None where that depends on where the damage fell."""

    kind: str
    value: bytes
    reason: str | None


def mutants(seed: int, event_schema: int) -> Iterator[Mutant]:
    """Without end; nearly all of them malformed."""
    dice = random.Random(seed)
    frame = wire.frame(event_schema)
    kinds: list[Callable[[random.Random, bytes], Mutant]] = [
        *(_cut, _tail, _magic, _header, _unknown, _flipped, _noise, _bytes_moved),
        *(_text, _count, _branch, _number, _length, _event_id, _time),
    ]
    while True:
        yield dice.choice(kinds)(dice, frame)


def _good(dice: random.Random, **pieces: bytes) -> bytes:
    own: dict[str, bytes] = {
        "event_id": text(str(uuid.UUID(int=dice.getrandbits(128), version=4)).encode()),
        "occurred_at": long(THEN + dice.randrange(10**12)),
        "subject": some(text(f"user-{dice.randrange(1000)}".encode())),
        "reason": some(text(b"because " * dice.randrange(40))),
    }
    return datum(**{**own, **pieces})


def _cut(dice: random.Random, frame: bytes) -> Mutant:
    good = _good(dice)
    return Mutant("cut", frame + good[: dice.randrange(len(good))], "torn_datum")


def _tail(dice: random.Random, frame: bytes) -> Mutant:
    return Mutant("tail", frame + _good(dice) + dice.randbytes(dice.randint(1, 20)), "torn_datum")


def _magic(dice: random.Random, frame: bytes) -> Mutant:
    return Mutant("magic", bytes([dice.randint(1, 255)]) + frame[1:] + _good(dice), "bad_magic")


def _header(dice: random.Random, frame: bytes) -> Mutant:
    return Mutant("header", frame[: dice.randrange(wire.HEADER_LENGTH)], "bad_magic")


def _unknown(dice: random.Random, _frame: bytes) -> Mutant:
    unknown = wire.frame(2_000_000_000 + dice.randrange(UNKNOWN_IDS))
    return Mutant("unknown", unknown + _good(dice), "unknown_schema")


def _flipped(dice: random.Random, frame: bytes) -> Mutant:
    bad = bytearray(_good(dice))
    for _ in range(dice.randint(1, 4)):
        bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(8)
    return Mutant("flipped", frame + bytes(bad), None)


def _noise(dice: random.Random, frame: bytes) -> Mutant:
    return Mutant("noise", frame + dice.randbytes(dice.randrange(300)), None)


def _bytes_moved(dice: random.Random, frame: bytes) -> Mutant:
    """A stretch is left out, doubled, or written over."""
    good = _good(dice)
    begin = dice.randrange(len(good))
    end = begin + dice.randint(1, 8)
    middle = dice.choice((b"", good[begin:end] * 2, dice.randbytes(8)))
    return Mutant("moved", frame + good[:begin] + middle + good[end:], None)


def _text(dice: random.Random, frame: bytes) -> Mutant:
    bad = bytearray(b"some text that is long enough")
    bad[dice.randrange(len(bad))] = dice.choice((0xFF, 0xC0, 0x80, 0xF5))
    name = dice.choice(("service", "actor_id", "action", "subject", "role", "key_id", "resource", "reason"))
    piece = text(bytes(bad))
    required = PIECES[name][:1] != b"\2" and name in ("service", "actor_id", "action")
    return Mutant("text", frame + _good(dice, **{name: piece if required else some(piece)}), "bad_text")


def _count(dice: random.Random, frame: bytes) -> Mutant:
    huge = dice.choice((1, -1)) * dice.randint(10**6, 2**62)
    name = dice.choice(("permissions", "attributes"))
    return Mutant("count", frame + _good(dice, **{name: long(huge)}), "torn_datum")


def _branch(dice: random.Random, frame: bytes) -> Mutant:
    branch = dice.choice((dice.randint(2, 2**62), -dice.randint(1, 2**62)))
    name = dice.choice(("environment", "key_id", "subject", "role", "expires_at", "before"))
    return Mutant("branch", frame + _good(dice, **{name: long(branch) + text(b"x")}), "torn_datum")


def _number(dice: random.Random, frame: bytes) -> Mutant:
    digits = bytes(dice.randint(0x80, 0xFF) for _ in range(dice.randint(10, 200)))
    name = dice.choice(("occurred_at", "recorded_at", "sequence"))
    return Mutant("number", frame + _good(dice, **{name: digits + b"\1"}), "torn_datum")


def _length(dice: random.Random, frame: bytes) -> Mutant:
    length = dice.choice((dice.randint(10_000, 2**62), -dice.randint(1, 2**62)))
    name = dice.choice(("event_id", "service", "actor_id", "action", "producer_id"))
    return Mutant("length", frame + _good(dice, **{name: long(length) + b"x"}), "torn_datum")


def _event_id(dice: random.Random, frame: bytes) -> Mutant:
    event_id = list(str(uuid.UUID(int=dice.getrandbits(128))))
    event_id[dice.randrange(36)] = dice.choice("gz_ \0{é")
    piece = text("".join(event_id).encode())
    return Mutant("event_id", frame + _good(dice, event_id=piece), "invalid_event")


def _time(dice: random.Random, frame: bytes) -> Mutant:
    absurd = dice.choice((-dice.randint(1, 2**62), dice.randint(0, 6 * 10**14), dice.randint(10**17, 2**62)))
    name = dice.choice(("occurred_at", "recorded_at"))
    return Mutant("time", frame + _good(dice, **{name: long(absurd)}), "absurd_time")
