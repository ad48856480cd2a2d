"""Telling how a call of a function ended, without having a part in it."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

from keytrail.producers.details import text
from keytrail.producers.statement import UNREADABLE

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")

# From positional and named arguments and what the call raised, if anything.  Must not raise.
Tell = Callable[[tuple[Any, ...], Mapping[str, Any], BaseException | None], None]

# A text, or a function of the call's arguments that gives one.
Part = str | Callable[..., str | None] | None


def said_of_call(
    parts: Mapping[str, Part], args: tuple[Any, ...], kwargs: Mapping[str, Any], error: BaseException | None
) -> dict[str, Any]:
    """What an event says of a call; a part whose function raises is named in `keytrail.unreadable`."""
    said: dict[str, Any] = {}
    for name, part in parts.items():
        try:
            said[name] = part(*args, **kwargs) if callable(part) else part
        except Exception:  # noqa: BLE001  # what cannot be told must not keep the rest back
            said[UNREADABLE] = ",".join(filter(None, (said.get(UNREADABLE), name)))
    if error is not None:
        said["outcome"] = "failure"
        said["error"] = f"{type(error).__name__}: {text(error)}"
    return said


def telling(function: Callable[_Params, _Result], tell: Tell) -> Callable[_Params, _Result]:
    """A function that does as `function` does, and tells afterwards.

    A coroutine function is told when it has ended; a generator function when it is called.
    """
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def called_async(*args: _Params.args, **kwargs: _Params.kwargs) -> object:
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                tell(args, kwargs, error)
                raise
            tell(args, kwargs, None)
            return result

        return cast(Callable[_Params, _Result], called_async)

    @functools.wraps(function)
    def called(*args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            tell(args, kwargs, error)
            raise
        tell(args, kwargs, None)
        return result

    return called
