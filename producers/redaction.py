"""Keeping secrets out of events: what looks like one becomes `[redacted]`.

By name: what stands under `password`, `token`, `api_key` and the like.  By form: keys of AWS and others,
JWTs, private keys, credentials in URLs and headers, keytrail's own tokens.  It errs on the side of hiding.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping

REDACTED = "[redacted]"

# From (where it stands, such as `reason` or `after.user.note`, the text) to the text that is kept.
Redact = Callable[[str, str], str]

_NAMES = (
    r"passw(?:or)?d|passphrase|(?<![a-z])pass(?![a-z])|pwd|secret|token|authori[sz]ation|cookie|credential"
    r"|(?:api|private|access|signing)[_\- ]?key(?![_\- ]?id)|bearer"
)
_NAME = re.compile(_NAMES, re.IGNORECASE)
# Each form with a text that it cannot be without: most texts hold none of them, and that is soon found.
# Every repetition that could start at many places has a bound, so that long texts do not take for ever.
_FORMS = [
    (mark, re.compile(form, re.DOTALL))
    for mark, form in (
        ("keytrail1.", r"keytrail1\.\S*"),
        (
            "PRIVATE KEY-----",
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)",
        ),
        ("eyJ", r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"),
        ("AKIA", r"\bAKIA[A-Z0-9]{16}\b"),
        ("ASIA", r"\bASIA[A-Z0-9]{16}\b"),
        ("gh", r"\bgh[pousr]_\w{30,}"),
        ("github_pat_", r"\bgithub_pat_\w{30,}"),
        ("xox", r"\bxox[abprs]-[\w-]{10,}"),
        ("AIza", r"\bAIza[\w-]{35}"),
        ("k_live_", r"\b[sr]k_live_\w{10,}"),
        ("://", r"(?<=://)[^\s/@:]{0,256}:[^\s/@]{1,256}(?=@)"),
    )
]
_AWS_SECRET = re.compile(r"(?<![\w/+=])[A-Za-z0-9/+]{40}(?![\w/+=])")
_AWS_SECRET_LENGTH = 40
_MIXED = [re.compile(kind) for kind in ("[a-z]", "[A-Z]", "[0-9]")]
_SCHEME = re.compile(r"\b(bearer|basic)\s{1,8}[\w.~+/=-]{8,}", re.IGNORECASE)
_SAID = re.compile(
    rf"((?:{_NAMES})[\w-]{{0,32}}\\?[\"']?\s{{0,8}}[=:]\s{{0,8}})(\\?\"[^\"]*\"|'[^']*'|[^\s\"',;&)}}\]]+)",
    re.IGNORECASE,
)
_WORDS = ("pass", "pwd", "secret", "token", "authori", "cookie", "credential", "key", "bearer", "basic")


def scrubbed(text: str) -> str:
    """The text with what looks like a secret hidden."""
    # The same reasons come again and again.
    return _scrubbed_before(text) if len(text) < _SHORT else _scrubbed(text)


def _scrubbed(text: str) -> str:
    for mark, form in _FORMS:
        if mark in text:
            text = form.sub(REDACTED, text)
    if len(text) >= _AWS_SECRET_LENGTH:
        text = _AWS_SECRET.sub(lambda found: REDACTED if _is_mixed(found[0]) else found[0], text)
    if _may_name_a_secret(text):
        text = _SCHEME.sub(rf"\1 {REDACTED}", text)
        text = _SAID.sub(_hidden, text)
    return text


def _is_mixed(text: str) -> bool:
    return all(kind.search(text) for kind in _MIXED)


def _may_name_a_secret(text: str) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in _WORDS)


_SHORT = 200
_scrubbed_before = functools.lru_cache(maxsize=1024)(_scrubbed)


def _hidden(found: re.Match[str]) -> str:
    said, value = found.groups()
    quote = value[0] if value[0] in "\"'" else ""
    return found[0] if REDACTED in value or value.startswith("[") else f"{said}{quote}{REDACTED}{quote}"


class Redaction:
    """The built-in rules, and behind them the caller's own, which may hide more.  Never raises."""

    def __init__(self, own: Redact | None = None) -> None:
        self._own = own

    def text(self, place: str, text: str) -> str:
        text = scrubbed(text)
        if self._own is None:
            return text
        try:
            kept = self._own(place, text)
        except Exception:  # noqa: BLE001  # a rule that fails must not let through what it was to hide
            return REDACTED
        return kept if isinstance(kept, str) else REDACTED

    def named(self, place: str, name: str, text: str) -> str:
        """A text that stands under a name of its own."""
        return REDACTED if _NAME.search(name) else self.text(f"{place}.{name}", text)

    def map(self, place: str, texts: Mapping[str, str]) -> dict[str, str]:
        return {scrubbed(name): self.named(place, name, text) for name, text in texts.items()}

    def json(self, place: str, text: str) -> str:
        """A JSON text, with the texts and names within it."""
        if self._own is None and not _may_name_a_secret(text) and _scrubbed(text) == text:
            return text
        try:
            return json.dumps(self._inside(place, json.loads(text)), ensure_ascii=False)
        except Exception:  # noqa: BLE001  # cut short, or too deep to look into
            return self.text(place, text)

    def _inside(self, place: str, value: object) -> object:
        if isinstance(value, str):
            return self.text(place, value)
        if isinstance(value, list):
            return [self._inside(place, item) for item in value]
        if isinstance(value, dict):
            return {
                scrubbed(name): REDACTED
                if _NAME.search(name) and not (item is None or isinstance(item, bool))
                else self._inside(f"{place}.{name}", item)
                for name, item in value.items()
            }
        return value
