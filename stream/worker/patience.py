"""Waiting for what is away now: Kafka, a topic, the registry."""

import logging
from collections.abc import Callable
from time import sleep
from typing import TypeVar

from keytrail.schemas.errors import UnavailableError

logger = logging.getLogger(__name__)

Done = TypeVar("Done")
_RETRY_S = 1.0


class GivenUpError(Exception):
    """Whoever waited is wanted no more."""


def until_available(who: str, act: Callable[[], Done], is_over: Callable[[], bool] = lambda: False) -> Done:
    """What `act` gives; while it raises `UnavailableError`, say so in the log and try again.  Blocks.

    Raises `GivenUpError` once `is_over`.
    """
    while not is_over():
        try:
            return act()
        except UnavailableError as error:
            logger.warning("%s waits: %s", who, error)
            sleep(_RETRY_S)
    raise GivenUpError
