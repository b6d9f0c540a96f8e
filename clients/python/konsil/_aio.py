"""Waiting in a coroutine for what blocks, without holding up other coroutines."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any, Callable, Optional, TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T], stop: Optional[Callable[[], None]] = None) -> T:
    """A call in a thread of its own. When the coroutine is cancelled, ``stop`` is called and the thread left.

    Not the loop's pool: its threads are waited for at the end of the program, and a steward may take days.
    """
    loop = asyncio.get_running_loop()
    done: "asyncio.Future[T]" = loop.create_future()

    def tell(result: Any, error: Optional[BaseException]) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def work() -> None:
        result: Any = None
        error: Optional[BaseException] = None
        try:
            result = call()
        except BaseException as caught:  # handed to whoever awaits
            # a StopIteration cannot pass through a future
            error = RuntimeError(repr(caught)) if isinstance(caught, StopIteration) else caught
        try:
            loop.call_soon_threadsafe(tell, result, error)
        except RuntimeError:
            # the loop has ended, so that nobody waits
            pass

    threading.Thread(target=work, name="konsil", daemon=True).start()
    try:
        return await done
    except asyncio.CancelledError:
        if stop is not None:
            stop()
        raise


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel."""
    shell = sys.modules.get("IPython")
    found = shell.get_ipython() if shell is not None else None
    return getattr(found, "kernel", None) is not None


def in_coroutine() -> bool:
    """Whether a coroutine runs, outside of a notebook, whose cells always run in a loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return not in_notebook()
