"""Writes the corpus: a file for each defect, under `malformed`, and for each oddity, under `odd`.

Run `python -m corpus.make` in tests/ after a case was changed; a test compares files and cases.
"""

import json
from pathlib import Path

from corpus import byte_defects, odd, schema_defects
from corpus.pieces import Case, Part, Times

HERE = Path(__file__).parent
FOLDERS = {"malformed": (*byte_defects.CASES, *schema_defects.CASES), "odd": odd.CASES}


def files() -> dict[Path, str]:
    """The content of each file, by its path under `HERE`."""
    return {
        Path(folder, f"{case.name}.json"): json.dumps(_spelled(case), indent=1) + "\n"
        for folder, cases in FOLDERS.items()
        for case in cases
    }


def _spelled(case: Case) -> dict[str, object]:
    return {
        "defect": case.defect,
        "reason": case.reason,
        "schema": case.schema,
        "refused": case.refused,
        "key": None if case.key is None else _part(case.key),
        "headers": [[name, None if value is None else value.hex()] for name, value in case.headers],
        "value": None if case.value is None else [_part(part) for part in case.value],
    }


def _part(part: Part) -> object:
    return [part.piece.hex(), part.count] if isinstance(part, Times) else part.hex()


if __name__ == "__main__":
    for folder in FOLDERS:
        for old in (HERE / folder).glob("*.json"):
            old.unlink()
        (HERE / folder).mkdir(exist_ok=True)
    for path, content in files().items():
        (HERE / path).write_text(content)
