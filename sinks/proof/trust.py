"""Which keys' checkpoints count: those of a file, and those that a trusted key has handed over to.

A change of keys is a signed note of three lines: what it is, the new key, and when.  It is signed by the key
before and by the new one.  From then on, but for an overlap in which a checkpoint may be under way, the
old key's checkpoints count no more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Micros
from keytrail.sinks.proof.checkpoint import Checkpoint, micros, utc
from keytrail.sinks.proof.note import NoteError, PrivateKey, PublicKey, open_note, sign

OVERLAP_US = 300_000_000
TITLE = "keytrail: the next checkpoints are signed with another key"
_AT = "at "
_UNTIL = "until"


@dataclass(frozen=True)
class TrustedKey:
    """A key, and until when its checkpoints count; None: they still do."""

    key: PublicKey
    until: Micros | None = None

    @property
    def text(self) -> str:
        return self.key.text if self.until is None else f"{self.key.text} {_UNTIL} {utc(self.until)}"

    @classmethod
    def of_text(cls, line: str) -> "TrustedKey":
        """Raises `NoteError`."""
        words = line.split()
        try:
            if len(words) == 1:
                return cls(PublicKey.of_text(words[0]))
            key, until, when = words
            if until != _UNTIL:
                raise ValueError(line)
            return cls(PublicKey.of_text(key), micros(when))
        except ValueError:
            raise NoteError(f"{line[:100]!r} is no trusted key.") from None


@dataclass(frozen=True)
class Handover:
    """A change of keys, as its note says."""

    key: PublicKey
    at: Micros

    @property
    def text(self) -> str:
        return f"{TITLE}\n{self.key.text}\n{_AT}{utc(self.at)}\n"

    @classmethod
    def of_text(cls, text: str) -> "Handover":
        """Raises `NoteError`."""
        try:
            title, key, at = text.splitlines()
            found = cls(PublicKey.of_text(key), micros(at.removeprefix(_AT)))
        except ValueError:
            raise NoteError("It is no change of keys.") from None
        if title != TITLE or found.text != text:
            raise NoteError("It is no change of keys.")
        return found


def hand_over(old: PrivateKey, new: PrivateKey, at: Micros) -> str:
    """The note by which `new` comes after `old`."""
    return sign(Handover(new.public, at).text, [old, new])


class Trust:
    """The keys that count.  Not thread-safe."""

    def __init__(self, keys: Iterable[TrustedKey]) -> None:
        self._keys = {key.key: key for key in keys}
        self._handed_over: dict[PublicKey, Handover] = {}

    @property
    def keys(self) -> list[TrustedKey]:
        return list(self._keys.values())

    def follow(self, handovers: Iterable[str]) -> list[str]:
        """Take in changes of keys, in any order; gives back those that do not count.

        A change counts where a trusted key and the new one have signed it.  A key has one successor: where it
        has signed two changes, neither counts, or the one that was taken in before.  Of a key that is trusted
        until some time, and whose successor is not, no change counts: who has stolen it could date one back.
        """
        left = set(handovers)
        while taken := self._take(left):
            left -= taken
        return sorted(left)

    def _take(self, notes: Iterable[str]) -> set[str]:
        counting = [found for note in notes if (found := self._change(note))]
        by_key: dict[PublicKey, set[Handover]] = {}
        for _, key, handover in counting:
            by_key.setdefault(key, set()).add(handover)
        taken = set()
        for note, key, handover in counting:
            if len(by_key[key]) > 1:
                continue
            old = self._keys[key]
            self._handed_over[key] = handover
            self._keys[key] = replace(old, until=min(old.until or handover.at, handover.at))
            self._keys.setdefault(handover.key, TrustedKey(handover.key))
            taken.add(note)
        return taken

    def _change(self, note: str) -> tuple[str, PublicKey, Handover] | None:
        """The note with the trusted key that hands over; None where it does not count."""
        try:
            opened = open_note(note, self._keys)
            handover = Handover.of_text(opened.text)
            is_signed_by_new = bool(open_note(note, [handover.key]).signed_by)
        except NoteError:
            return None
        old = [key for key in opened.signed_by if key != handover.key]
        if len(old) != 1 or not is_signed_by_new or not self._may_hand_over(old[0], handover):
            return None
        return note, old[0], handover

    def _may_hand_over(self, key: PublicKey, handover: Handover) -> bool:
        if key in self._handed_over:
            return self._handed_over[key] == handover
        return self._keys[key].until is None or handover.key in self._keys

    def open(self, note: str) -> Checkpoint:
        """The checkpoint in a note.  Raises `NoteError` where no key that counts has signed it."""
        opened = open_note(note, self._keys)
        checkpoint = Checkpoint.of_text(opened.text)
        if not opened.signed_by:
            raise NoteError("No trusted key has signed it.")
        ends = [self._keys[key].until for key in opened.signed_by]
        if all(end is not None and checkpoint.at > end + OVERLAP_US for end in ends):
            raise NoteError("It is signed with a key that did not count any more.")
        return checkpoint


def read_trust(path: Path) -> Trust:
    """From a file with a key a line; lines that begin with # say what a person wants to remember.

    Raises `UsageError` for a file that is not there or holds something else.
    """
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
        keys = [TrustedKey.of_text(line) for line in lines if line and not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read ({type(error).__name__}).", "Name a file of keys."
        ) from error
    except NoteError as error:
        raise UsageError(
            f"{path}: {error.message}", "Put the lines there that `keytrail checkpoints keys` shows."
        ) from error
    if not keys:
        raise UsageError(f"{path} names no key.", "Put what `keytrail checkpoints keys` shows into it.")
    return Trust(keys)
