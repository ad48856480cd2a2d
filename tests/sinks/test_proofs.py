"""Proofs as files, checked by the script in `docs/`, which shares no code with keytrail."""

import base64
import random
import subprocess
import sys
from pathlib import Path

import pytest
from proof_support import sign_all, store, with_keys

from keytrail.cli.main import main
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.proof.checkpoint import Checkpoint, Log, micros
from keytrail.sinks.proof.leaf import EXACT, NORMAL, head
from keytrail.sinks.proof.merkle import leaf_hash
from keytrail.sinks.proof.note import PrivateKey, sign

SCRIPT = Path(__file__).parents[2] / "docs" / "check_proof.py"


@pytest.fixture
def proved(settings: Settings) -> Settings:
    return with_keys(settings)


def _said(capsys: pytest.CaptureFixture[str], settings: Settings, *command: str) -> str:
    capsys.readouterr()
    assert main([*command, f"--data-dir={settings.data_dir}"]) == 0
    return capsys.readouterr().out


def _check(proof: str, keys: str | None, folder: Path) -> tuple[int, str]:
    (folder / "proof").write_text(proof)
    flags = []
    if keys is not None:
        (folder / "keys").write_text(keys)
        flags = ["--keys", str(folder / "keys")]
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), str(folder / "proof"), *flags],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def _damaged(proof: str, rng: random.Random) -> str:
    """With one character that counts changed for another of base64 or a digit."""
    places = [at for at, character in enumerate(proof) if character.isalnum()]
    at = rng.choice(places)
    other = rng.choice([c for c in ("0123456789" if proof[at].isdigit() else "ABCDEFxyz") if c != proof[at]])
    return proof[:at] + other + proof[at + 1 :]


def test_any_event_is_proved_and_a_damaged_proof_is_not(
    proved: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    store(proved, "proofs", [300, 5])
    sign_all(proved)
    store(proved, "proofs", [40])
    sign_all(proved)
    keys = _said(capsys, proved, "checkpoints", "keys")
    rows = ClickHouse(proved.clickhouse, database=proved.database).rows(
        "SELECT event_id, kafka_partition, kafka_offset FROM events WHERE service = 'proofs' ORDER BY rand(1)"
    )
    rng = random.Random(1)
    for row in rows[:6]:
        proof = _said(capsys, proved, "prove", str(row["event_id"]))
        code, said = _check(proof, keys, tmp_path)
        assert code == 0, said
        assert f"{row['event_id']}, partition {row['kafka_partition']}, offset {row['kafka_offset']}" in said
        assert said.endswith("proved\n")
        code, said = _check(proof, None, tmp_path)
        assert code == 3
        assert said.endswith("nobody's signature was checked\n")
        for _ in range(4):
            # base64's last character may have bits that mean nothing; then it is the same proof, and holds.
            damaged = _damaged(proof, rng)
            if _meaning(damaged) != _meaning(proof):
                code, said = _check(damaged, keys, tmp_path)
                assert code == 1, damaged


def _meaning(proof: str) -> list[object]:
    found: list[object] = []
    for word in proof.split():
        try:
            found.append(base64.b64decode(word, validate=True))
        except ValueError:
            found.append(word)
    return found


def test_a_checkpoint_is_proved_to_continue_an_earlier_one(
    proved: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sizes = []
    for count in (20, 300, 7):
        store(proved, "proofs-continued", [count])
        sizes.append(next(made.size for made in sign_all(proved) if made.log.partition == 0))
    keys = _said(capsys, proved, "checkpoints", "keys")
    for old, new in ((0, 1), (0, 2), (1, 2), (2, 2)):
        proof = _said(capsys, proved, "prove", f"--from={sizes[old]}", f"--to={sizes[new]}")
        assert _check(proof, keys, tmp_path)[0] == 0
    assert _said(capsys, proved, "prove", f"--from={sizes[0]}") == _said(
        capsys, proved, "prove", f"--from={sizes[0]}", f"--to={sizes[2]}"
    )
    proof = _said(capsys, proved, "prove", f"--from={sizes[0]}")
    hashes = proof.split("\n\n")[0].split("\n")
    swapped = "\n".join([hashes[0], hashes[2], hashes[1], *hashes[3:]]) + proof[len("\n".join(hashes)) :]
    assert _check(swapped, keys, tmp_path)[0] == 1
    others = "".join(f"other+{line.partition('+')[2]}\n" for line in keys.splitlines())
    assert _check(proof, others, tmp_path)[0] == 1


def test_what_cannot_be_proved_is_said_plainly(
    proved: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    where = f"--data-dir={proved.data_dir}"
    store(proved, "proofs-not", [2])
    [row, _] = ClickHouse(proved.clickhouse, database=proved.database).rows(
        "SELECT event_id FROM events WHERE service = 'proofs-not'"
    )
    for command, code, said in (
        (["prove", "018f2b1a-0000-7000-8000-00000000abcd"], 1, "There is no event"),
        (["prove", str(row["event_id"])], 1, "in no checkpoint yet"),
        (["prove", "--from", "3000000"], 1, "has no checkpoints of 3000000"),
        (["prove"], 2, "Nothing, or two things"),
        (["prove", "x", "--trust", str(tmp_path / "none")], 2, "cannot be read"),
    ):
        assert main([*command, where]) == code
        assert said in capsys.readouterr().err
    assert _check("hello", None, tmp_path) == (1, "NOT PROVED: It is no proof of keytrail's.\n")


SIGNER = PrivateKey("keytrail", bytes(range(32)))
LOG = Log("3f1c2a9e-52a4-4a56-9b1e-0a7c3b1d2e4f", 0)
SIGNED_AT = micros("2026-12-31T18:00:00.000000Z")


def _proof_of(leaf: bytes) -> str:
    """That the leaf is the only one of a log."""
    checkpoint = Checkpoint(LOG, 1, leaf_hash(leaf), 1, SIGNED_AT)
    extra = base64.b64encode(leaf).decode()
    return f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex 0\n\n" + sign(checkpoint.text, [SIGNER])


@pytest.mark.parametrize(
    ("until", "code"),
    [
        ("", 0),
        (" until 2026-12-31T18:00:00.000000Z", 0),
        (" until 2026-12-31T17:55:00.000000Z", 0),
        (" until 2026-12-31T17:54:59.999999Z", 1),
        (" until 2026-12-31T18:00:00", 2),
        (" until", 2),
    ],
)
def test_a_key_counts_until_it_ends(tmp_path: Path, until: str, code: int) -> None:
    proof = _proof_of(head(NORMAL, 0, 0) + b"\x48" + b"018f2b1a-0000-7000-8000-00000000abcd")
    assert _check(proof, f"# ours\n{SIGNER.public.text}{until}\n", tmp_path)[0] == code


@pytest.mark.parametrize("keys", ["", "# none\n", "\n", "hello\n"])
def test_a_file_without_keys_is_told(tmp_path: Path, keys: str) -> None:
    code, said = _check(_proof_of(head(NORMAL, 0, 0) + bytes(40)), keys, tmp_path)
    assert code == 2
    assert "is no file of keys" in said


def test_a_leaf_that_is_no_event_is_not_shown_as_one(tmp_path: Path) -> None:
    leaf = head(EXACT, 0, 0) + b"\x48" + b"018f2b1a-0000-7000-8000-00000000abcd"
    for unreadable in (leaf, b"\x02" + leaf[1:], head(NORMAL, 0, 0)):
        code, said = _check(_proof_of(unreadable), SIGNER.public.text, tmp_path)
        assert code == 1
        assert "it is no event" in said
        assert "018f2b1a" not in said
