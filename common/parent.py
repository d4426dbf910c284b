"""Worker processes that end with the process that started them, however that ended."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """End this process, started by `multiprocessing`, as soon as its parent is gone.

    A parent that is killed ends nobody: its workers would play their pieces to the end, beside those of the
    same command given again. It is a thread that waits, so this holds on any system, and whichever thread of
    the parent has started the worker.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
