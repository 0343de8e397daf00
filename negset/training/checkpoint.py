"""Where a training run is, on disk: a folder for each checkpoint, written while the run goes on.

A checkpoint is `step_N/`: tensors in safetensors, all else in JSON, with the digest of the tensors' file. It is
written as `step_N.tmp`, flushed and renamed, so that a folder under its final name is whole. Nothing in it is ever
executed; torch's own format (torch.distributed.checkpoint) is read by unpickling its index.
"""

import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from negset.errors import ArtifactError
from negset.fingerprint import file_digest
from negset.store import flush, make_folder, read_json, rename_folder, storage_fault, write_durably
from negset.training.state import Numbers, State, Tensors, put_state, take_state

CHECKPOINTS: Final = "checkpoints"
"""Folder of a run's checkpoints, in its folder."""
TENSORS: Final = "state.safetensors"
POSITION: Final = "position.json"

_NAME: Final = re.compile(r"^step_(\d+)$")
_DAMAGED: Final = (OSError, SafetensorError, ArtifactError, RuntimeError, ValueError, LookupError, TypeError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Position:
    """How far a run is: steps done, and where the plan is: an epoch and how many of its batches are done.

    `rows` counts what each of the run's journals held then.
    """

    step: int = 0
    epoch: int = 0
    batches: int = 0
    rows: Mapping[str, int] | None = None


START: Final = Position()


@dataclass(frozen=True)
class Resumed:
    """Where a run goes on, and which newer checkpoints were damaged and why."""

    position: Position
    passed_over: tuple[str, ...] = ()


class Checkpoints:
    """The checkpoints of one `run` (its fingerprint) in `folder`, the newest `keep` of them.

    One is written at a time, by a thread, from a copy. A failure to write is raised by the next `save`, or by `wait`;
    leaving the block waits. Whether a run was killed before or after a rename, the next one finds whole folders alone.
    """

    def __init__(self, folder: Path, run: str, keep: int) -> None:
        self.folder = folder
        self.run = run
        self.keep = keep
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._outstanding: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.shutdown(wait=True)
        if error is None:
            self.wait()

    def save(self, position: Position, state: State, before: Callable[[], None] = lambda: None) -> None:
        """Copy `state` and start writing it; `before` runs in the thread, first, and flushes what it refers to.

        Raises EnvironmentFault where the one before could not be written.
        """
        self.wait()
        tensors, numbers = take_state(state)
        self._outstanding = self._writer.submit(self._write, position, tensors, numbers, before)

    def wait(self) -> None:
        """Wait for the checkpoint that is being written; raise what went wrong."""
        outstanding, self._outstanding = self._outstanding, None
        if outstanding is not None:
            outstanding.result()

    def restore(self, state: State, check: Callable[[Position], None] = lambda _: None) -> Resumed:
        """Put the newest whole checkpoint of the run into `state`; the start where there is none of this run.

        `check` raises ArtifactError where something that a position needs beside the checkpoint is not there.
        What other runs and killed writers left in the folder is removed. A damaged checkpoint is passed over, which is
        logged and said in what is given. Raises ArtifactError where all of them are damaged.
        """
        for left in self.folder.glob("*.tmp"):
            shutil.rmtree(left)
        passed_over: dict[Path, str] = {}
        for folder in reversed(self._folders()):
            try:
                position = self._read(folder, state, check)
            except _DAMAGED as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                passed_over[folder] = f"{folder}: {reason}"
                _log.warning("checkpoint %s cannot be used, the one before it is tried", passed_over[folder])
                continue
            if position is not None:
                for damaged in passed_over:
                    shutil.rmtree(damaged)
                return Resumed(position, tuple(passed_over.values()))
            shutil.rmtree(folder)
        if passed_over:
            message = (
                f"cannot resume from {'; '.join(passed_over.values())}. Delete {self.folder} to train from the start"
            )
            raise ArtifactError(message)
        return Resumed(START)

    def clear(self) -> None:
        """Remove all checkpoints."""
        self.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        """List whole checkpoints, oldest first."""
        found = [(match, path) for path in self.folder.glob("step_*") if (match := _NAME.match(path.name))]
        return [path for _, path in sorted(found, key=lambda one: int(one[0].group(1)))]

    def _read(self, folder: Path, state: State, check: Callable[[Position], None]) -> Position | None:
        """Put the checkpoint in `folder` into `state`; None where it is of another run."""
        written = read_json(folder / POSITION)
        if written["run"] != self.run:
            return None
        if file_digest(folder / TENSORS) != written["sha256"]:
            message = f"{TENSORS} is not what was written"
            raise ArtifactError(message)
        position = Position(**cast("dict[str, int]", written["position"]))  # type: ignore[arg-type]
        check(position)
        put_state(state, load_file(folder / TENSORS), cast("Numbers", written["numbers"]))
        return position

    def _write(self, position: Position, tensors: Tensors, numbers: Numbers, before: Callable[[], None]) -> None:
        target = self.folder / f"step_{position.step}"
        staged = target.with_name(f"{target.name}.tmp")
        try:
            before()
            shutil.rmtree(staged, ignore_errors=True)
            make_folder(staged)
            save_file(tensors, staged / TENSORS)
            flush(staged / TENSORS)
            written = {
                "run": self.run,
                "sha256": file_digest(staged / TENSORS),
                "position": asdict(position),
                "numbers": numbers,
            }
            write_durably(staged / POSITION, json.dumps(written).encode())
            rename_folder(staged, target)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(staged, ignore_errors=True)
            raise _fault(error, target) from error
        for old in self._folders()[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)


def _fault(error: OSError | SafetensorError, path: Path) -> Exception:
    """Say what stopped a checkpoint; safetensors reports a full disk as an error of its own."""
    if isinstance(error, OSError):
        return storage_fault(error, path)
    return ArtifactError(f"cannot write {path}: {error}")
