"""How a damaged batch is named on the command line."""

import pytest

from keytrail.schemas.damage import pass_over
from keytrail.schemas.errors import UsageError


def test_batches_are_named_as_the_log_names_them() -> None:
    assert pass_over(["keytrail.events/1:20", "keytrail.events/1:90", "a/b/0:0"]) == {
        ("keytrail.events", 1): {20, 90},
        ("a/b", 0): {0},
    }


@pytest.mark.parametrize("wrong", ["", "keytrail.events", "keytrail.events/1", "/1:2", "t/x:2", "t/1:-2"])
def test_what_names_no_batch_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="names no batch"):
        pass_over([wrong])
