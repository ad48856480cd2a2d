"""Checks a proof that `keytrail prove` gave, without keytrail.

    python check_proof.py PROOF --keys KEYS

PROOF is the file; KEYS has the lines that `keytrail checkpoints keys` shows, got from somebody you trust.
A key with `until` counts for checkpoints dated up to five minutes later; the date is the signer's own word.
Ed25519 needs the package `cryptography`; without --keys the hashes alone are checked, which proves nothing
unless you know the checkpoint, which is shown, from elsewhere.
Exit code 0: proved, 1: not, 2: used wrongly, 3: the hashes fit, and no signature was checked.

Formats: https://c2sp.org/tlog-proof, https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note;
algorithms: RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

import argparse
import base64
import hashlib
import sys
from datetime import datetime, timedelta
from pathlib import Path

OVERLAP = timedelta(minutes=5)  # in which a checkpoint of a key that has ended may be under way


class NotProvedError(Exception):
    """The proof does not hold; the message says why."""


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def included(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that the leaf's path leads to."""
    if not 0 <= index < size:
        raise NotProvedError("The index is outside of the tree.")
    at, last = index, size - 1
    root = hashlib.sha256(b"\x00" + leaf).digest()
    for step in path:
        if last == 0:
            raise NotProvedError("There are too many hashes.")
        if at & 1 or at == last:
            root = node(step, root)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            root = node(root, step)
        at, last = at >> 1, last >> 1
    if last:
        raise NotProvedError("There are too few hashes.")
    return root


def continued(old: int, old_root: bytes, new: int, path: list[bytes]) -> bytes:
    """The new root that the path leads to from the old one."""
    if not 0 < old <= new:
        raise NotProvedError("The later checkpoint is the smaller one.")
    if old == new:
        if path:
            raise NotProvedError("There are too many hashes.")
        return old_root
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not steps:
        raise NotProvedError("There are too few hashes.")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise NotProvedError("There are too many hashes.")
        if at & 1 or at == last:
            first, second = node(step, first), node(step, second)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            second = node(second, step)
        at, last = at >> 1, last >> 1
    if last:
        raise NotProvedError("There are too few hashes.")
    if first != old_root:
        raise NotProvedError("The hashes do not lead to the earlier checkpoint.")
    return second


def moment(text: str) -> datetime:
    if not text.endswith("Z"):
        raise ValueError(text)
    return datetime.fromisoformat(text)


def signed(text: str, signatures: str, keys: dict[str, datetime | None]) -> list[str]:
    """The names of the keys that have signed a checkpoint's text while they counted."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    names = []
    at = moment(text.split("\n")[4].removeprefix("at "))
    for line in signatures.splitlines():
        _, name, encoded = line.split(" ")
        packed = base64.b64decode(encoded, validate=True)
        for key, until in keys.items():
            key_name, key_id, key_text = key.split("+", 2)
            public = base64.b64decode(key_text)
            if (name, packed[:4].hex()) != (key_name, key_id) or public[:1] != b"\x01":
                continue
            try:
                Ed25519PublicKey.from_public_bytes(public[1:]).verify(packed[4:], text.encode())
            except InvalidSignature:
                raise NotProvedError(f"The signature of {name}+{key_id} is wrong.") from None
            if until is None or at <= until + OVERLAP:
                names.append(f"{name}+{key_id}")
    return names


def checkpoint(text: str, signatures: str, keys: dict[str, datetime | None]) -> tuple[str, int, bytes]:
    """A checkpoint's log, size and root, once a key has signed it."""
    if keys:
        by = signed(text, signatures, keys)
        if not by:
            raise NotProvedError("None of the keys has signed the checkpoint while it counted.")
        print(f"signed by    {', '.join(by)}")
    print("checkpoint   " + "\n             ".join(text.splitlines()))
    log, size, root = text.split("\n")[:3]
    return log, int(size), base64.b64decode(root, validate=True)


def check(proof: str, keys: dict[str, datetime | None]) -> None:
    blocks = proof.split("\n\n")
    lines = blocks[0].split("\n")
    if lines[0] == "c2sp.org/tlog-proof@v1":
        leaf = base64.b64decode(lines[1].removeprefix("extra "), validate=True)
        index = int(lines[2].removeprefix("index "))
        path = [base64.b64decode(line, validate=True) for line in lines[3:]]
        log, size, root = checkpoint(blocks[1] + "\n", blocks[2], keys)
        if included(leaf, index, size, path) != root:
            raise NotProvedError("The event is not in the checkpoint's tree.")
        if leaf[:2] != b"\1\1" or len(leaf) < 51:  # version 1, form NORMAL
            raise NotProvedError("The leaf is in the tree, but it is no event.")
        partition, offset = int.from_bytes(leaf[2:6], "big"), int.from_bytes(leaf[6:14], "big")
        if log.rsplit("/", 1)[-1] != str(partition):
            raise NotProvedError("The event is of another log.")
        # An Avro datum of keytrail's schema enriched.v2, whose first field is the event's id.
        print(f"event        {leaf[15:51].decode()}, partition {partition}, offset {offset}, leaf {index}")
    elif lines[0] == "keytrail/consistency-proof@v1":
        path = [base64.b64decode(line, validate=True) for line in lines[1:]]
        old_log, old, old_root = checkpoint(blocks[1] + "\n", blocks[2], keys)
        new_log, new, new_root = checkpoint(blocks[3] + "\n", blocks[4], keys)
        if old_log != new_log:
            raise NotProvedError("The checkpoints are of different logs.")
        if continued(old, old_root, new, path) != new_root:
            raise NotProvedError("The hashes do not lead to the later checkpoint.")
    else:
        raise NotProvedError("It is no proof of keytrail's.")


def read_keys(path: Path) -> dict[str, datetime | None]:
    """Keys, and until when they count.  Raises `ValueError` for a line that is none."""
    keys: dict[str, datetime | None] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match line.split():
            case []:
                continue
            case [first, *_] if first.startswith("#"):
                continue
            case [key] if key.count("+") >= 2:
                keys[key] = None
            case [key, "until", when] if key.count("+") >= 2:
                keys[key] = moment(when)
            case _:
                raise ValueError(line)
    return keys


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks a proof that `keytrail prove` gave.")
    parser.add_argument("proof", type=Path)
    parser.add_argument("--keys", type=Path, help="what `keytrail checkpoints keys` shows")
    options = parser.parse_args()
    keys: dict[str, datetime | None] = {}
    if options.keys:
        try:
            keys = read_keys(options.keys)
        except (OSError, ValueError):
            keys = {}
        if not keys:
            print(f"{options.keys} is no file of keys: put there what `keytrail checkpoints keys` shows.")
            return 2
    try:
        check(options.proof.read_text(encoding="utf-8"), keys)
    except NotProvedError as error:
        print(f"NOT PROVED: {error}")
        return 1
    except (ValueError, IndexError) as error:
        print(f"NOT PROVED: the file is damaged ({type(error).__name__}).")
        return 1
    if not keys:
        print("the hashes fit; nobody's signature was checked")
        return 3
    print("proved")
    return 0


if __name__ == "__main__":
    sys.exit(main())
