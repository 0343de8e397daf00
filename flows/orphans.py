"""Processes that do not outlive the one that started them. Imports nothing that reads the environment at import."""

import multiprocessing
import os
import threading
from collections.abc import Mapping
from multiprocessing import connection


def leave_with_parent() -> None:
    """Let this worker die with the process that started it, however that dies."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def begin_worker(environment: Mapping[str, str]) -> None:
    """Set up a new worker before its first task is unpickled, and with that polars imported."""
    os.environ.update(environment)
    leave_with_parent()
