"""The policy file: YAML that says what the rules are tuned by.  What it leaves out is as in `Policy()`."""

from pathlib import Path

import yaml

from keytrail.stream.policies.form import FORM, plain
from keytrail.stream.policies.nodes import compose
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.problems import PolicyError, Problem, Problems
from keytrail.stream.policies.shapes import Shape

MOST_BYTES = 1_000_000
_WIDTH = 110


def read_policy(path: Path) -> Policy:
    """Raises `PolicyError` with everything that is wrong with the file."""
    return parse_policy(text_of(path), str(path))


def text_of(path: Path) -> str:
    """What a file of this kind holds.  Raises `PolicyError` where it cannot be read, or is too large."""
    name = str(path)
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        why = error.strerror if isinstance(error, OSError) else None
        raise PolicyError(name, [Problem(0, f"It cannot be read: {why or error}.")]) from error
    if len(content) > MOST_BYTES:
        raise PolicyError(name, [Problem(0, f"It has more than {MOST_BYTES:,} bytes. Make it smaller.")])
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PolicyError(name, [Problem(line, "It is not UTF-8. Save it as UTF-8.")]) from error


def parse_policy(text: str, name: str) -> Policy:
    """The policy of a text; `name` is what errors call it."""
    policy = parse(text, name, FORM)
    if not isinstance(policy, Policy):
        raise TypeError(policy)
    return policy


def parse(text: str, name: str, form: Shape) -> object:
    """What `form` makes of a text.  Raises `PolicyError` with everything that is wrong with it."""
    problems = Problems()
    root = compose(text, problems)
    if root is None:
        if not problems:
            problems.add(0, "It is empty. Begin it with version: 1.")
        raise problems.error(name)
    found = form.read(root, "", problems)
    if problems or found is None:
        raise problems.error(name)
    return found


def policy_text(policy: Policy) -> str:
    """The whole policy as the text of a file."""
    return yaml.safe_dump(plain(policy), sort_keys=False, allow_unicode=True, width=_WIDTH)
