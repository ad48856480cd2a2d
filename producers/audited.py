"""Telling how a call of a function ended, without having a part in it."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")

# From positional and named arguments and what the call raised, if anything.  Must not raise.
Tell = Callable[[tuple[Any, ...], Mapping[str, Any], BaseException | None], None]


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
