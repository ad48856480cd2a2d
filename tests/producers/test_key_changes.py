import pytest

from keytrail.producers.key_changes import KeyChangeError, revoked, suspended
from keytrail.schemas.records import Key, Micros

KEY = Key("key-1", 1, "human", "anna", None, "active", Micros(10))


def test_suspending_keeps_the_key_and_says_since_when() -> None:
    key = suspended(KEY, by="bob", reason="lost laptop", now=Micros(20))

    assert (key.status, key.suspended_at, key.version) == ("suspended", 20, 2)
    assert (key.changed_by, key.reason, key.changed_at) == ("bob", "lost laptop", 20)
    assert (key.key_id, key.owner, key.issued_at) == (KEY.key_id, KEY.owner, KEY.issued_at)


def test_a_suspended_key_can_be_revoked_and_keeps_both_times() -> None:
    key = revoked(suspended(KEY, by="b", reason="r", now=Micros(20)), by="b", reason="r", now=Micros(30))
    assert (key.status, key.suspended_at, key.revoked_at, key.version) == ("revoked", 20, 30, 3)


def test_what_a_state_does_not_allow_is_refused() -> None:
    once = suspended(KEY, by="b", reason="r", now=Micros(20))
    ended = revoked(KEY, by="b", reason="r", now=Micros(20))
    with pytest.raises(KeyChangeError, match="already suspended"):
        suspended(once, by="b", reason="r", now=Micros(30))
    for change in (suspended, revoked):
        with pytest.raises(KeyChangeError, match="for good"):
            change(ended, by="b", reason="r", now=Micros(30))
