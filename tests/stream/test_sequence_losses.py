"""Losses that producers tell of themselves: which holes they make up for."""

from dataclasses import replace
from random import Random

import pytest
from numbering import loss, numbered, told

from keytrail.schemas.records import ToldLoss
from keytrail.stream.sequences.losses import Losses


def test_what_the_producer_tells_is_said() -> None:
    partly = told(numbered([1, 2]), numbered([9]), loss(4, 3, 6, 10))["job"]
    assert (partly.count, partly.severity, partly.details["told_lost"]) == (6, "high", "4")
    wholly = told(numbered([1, 2]), numbered([7]), loss(4, 3, 6, 8))["job"]
    assert (wholly.count, wholly.severity, wholly.details["told_lost"]) == (4, "medium", "4")
    assert "told 4 of them as lost itself" in wholly.summary
    # The latest telling makes up for the earlier ones.
    twice = told(numbered([1, 2]), numbered([9]), loss(2, 3, 4, 10), loss(6, 3, 8, 11, 2.5))["job"]
    assert (twice.count, twice.severity, twice.details["told_lost"]) == (6, "medium", "6")


def test_a_loss_that_is_told_needs_no_later_number() -> None:
    tail = told(numbered([1, 2, 3], run="job:9"), loss(5, 4, 8, 1, run="job:9"))["job"]
    assert (tail.count, tail.details["run"], tail.details["last"]) == (5, "job:9", "8")
    nothing_came = told(loss(5, 1, 5, 1, run="job:9"))["job"]
    assert (nothing_came.count, nothing_came.severity) == (5, "medium")


@pytest.mark.parametrize("said", [{}, {"count": "x"}, {"first": "-1"}, {"last": "9" * 30}, {"count": "٣"}])
def test_a_loss_that_cannot_be_read_tells_nothing(said: dict[str, str]) -> None:
    [odd] = loss(5, 4, 8, 3)
    attributes = {**odd.attributes, **said} if said else {}
    assert told(numbered([1, 2]), [replace(odd, attributes=attributes)]) == {}


def test_a_telling_is_about_the_numbers_that_it_names() -> None:
    before = loss(100, 10, 400, 502, 4.1)
    elsewhere = told(numbered([500, 501], 4), before, numbered([553, 554], 6))["job"]
    assert (elsewhere.count, elsewhere.severity, elsewhere.details["told_lost"]) == (50, "high", "0")
    forged = told(numbered([1, 2], 4), loss(10**15, 10**16, 10**17, 1, 4.1), numbered([53, 54], 6))["job"]
    assert (forged.count, forged.severity) == (50, "high")
    came = [loss(4, 3, 6, 7, 2.2), numbered([3, 4, 5, 6], 3)]
    others_lost = told(numbered([1, 2]), *came, numbered([8, 13], 8))["job"]
    assert (others_lost.count, others_lost.severity) == (4, "high")


def test_of_too_many_tellings_the_same_are_heard_in_any_order() -> None:
    tellings = [(hour, ToldLoss(f"{why}", hour, 1, hour)) for hour in range(1, 21) for why in range(20)]
    heard = []
    for seed in range(5):
        Random(seed).shuffle(tellings)
        losses = Losses()
        for hour, one in tellings:
            losses.tell(hour, one)
        losses.hear(30)
        heard.append(losses)
        assert not losses.telling
        assert losses.among([(1, 100)]) > 100 - 1
    assert heard[1:] == heard[:-1]
