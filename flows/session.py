"""Run a flow from the command line: with the caller's Prefect server, or with one of its own."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from flows.local_server import local_server, server_is_configured
from negset.errors import NegsetError


@contextmanager
def prefect_session() -> Iterator[None]:
    """Have a Prefect server to run flows against while the block runs.

    Enter it before anything imports Prefect: its settings are read from the environment at import, and a server
    of our own starts while the libraries load.
    """
    with ExitStack() as stack:
        if not server_is_configured(os.environ):
            # The records of such a run are read by nobody; without them each task costs one request less.
            os.environ.setdefault("PREFECT_LOGGING_TO_API_ENABLED", "false")
            os.environ["PREFECT_API_URL"] = stack.enter_context(local_server(os.environ))
        if sys.stderr.isatty():
            # Bars say it better than log lines, and the two would break each other's.
            os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
        os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "negset")
        stack.enter_context(_settings())
        yield


@contextmanager
def _settings() -> Iterator[None]:
    # Imported here: see prefect_session.
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: PLC0415

    leave_out_repeats()
    # The heartbeat's thread is joined in steps of a second when a flow ends; nobody watches a flow run by hand.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def leave_out_repeats() -> None:
    """Keep this process from logging an error of ours with each flow and task that it passes through."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Keep a record out of the log that repeats an error which the command is about to say in one line."""
    ours = record.exc_info is not None and isinstance(record.exc_info[1], NegsetError)
    return not ours and not (record.levelno >= logging.ERROR and str(record.msg).startswith("Finished in state"))
