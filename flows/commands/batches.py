"""`negset batches SET --plan NAME`: plan which queries share a batch, or list the plans there are."""

import argparse
import shutil
from collections.abc import Iterable
from pathlib import Path

from flows.session import prefect_session
from negset.batching.planner import BatchPlan, find_plan, plans
from negset.batching.reading import PAPER
from negset.batching.report import describe_plan
from negset.configuration import override, parse_config
from negset.errors import ConfigError
from negset.publishing.reading import resolve_version
from negset.store import read_json, write_durably
from schemas.batches import PlanManifest, PlanRequest
from tasks.place import Place
from tasks.sets import local_set


def run(options: argparse.Namespace) -> int:
    """Make the plan that `options` ask for and say what it has; without a set, list plans or one's options."""
    if not options.set:
        print("\n".join(_listed(options.plan)))
        return 0
    out = Path(options.out) if options.out else None
    if out is not None and out.exists() and not (out / PAPER).is_file() and (not out.is_dir() or any(out.iterdir())):
        message = f"{out} exists and holds no batch plan: give --out a new or empty folder"
        raise ConfigError(message)
    version, request = resolve_version(local_set(options.set)), _request(options)
    find_plan(request.plan)
    with prefect_session():
        # Prefect is imported while its server starts.
        from flows.batches import batches

        ref = batches(str(version.absolute()), request)
    store = Place().open_store()
    folder = store.open(ref.kind, ref.fingerprint)
    if out is not None:
        _copy(folder, out)
    manifest = PlanManifest.model_validate(read_json(folder / PAPER))
    print("\n".join([f"plan        {out or folder}", *describe_plan(manifest)]))
    return 0


def _request(options: argparse.Namespace) -> PlanRequest:
    given = {
        "plan": options.plan or "shuffled",
        "seed": options.seed,
        "batch_size": options.batch_size,
        "epochs": options.epochs,
        "split": options.split,
        "held_out": options.held_out,
        "options": override({}, options.overrides),
    }
    return parse_config(PlanRequest, given, "the command line")


def _copy(folder: Path, out: Path) -> None:
    """Copy a plan, its paper last: no paper, no plan."""
    out.mkdir(parents=True, exist_ok=True)
    (out / PAPER).unlink(missing_ok=True)
    for table in sorted(path for path in folder.iterdir() if path.is_dir()):
        shutil.rmtree(out / table.name, ignore_errors=True)
        shutil.copytree(table, out / table.name)
    write_durably(out / PAPER, (folder / PAPER).read_bytes())


def _listed(name: str) -> Iterable[str]:
    if name:
        return _described(find_plan(name))
    known = plans()
    wide = max(map(len, known))
    lines = [f"{found.name:<{wide}} {found.summary}" for found in known.values()]
    return [*lines, "", "negset batches --plan NAME shows the options of one; negset batches SET --plan NAME makes it"]


def _described(found: BatchPlan) -> Iterable[str]:
    yield f"{found.name}: {found.summary}"
    for name, field in found.params.model_fields.items():
        yield f"  {name} = {field.default!r:<10} {(field.description or '').replace(chr(10), ' ')}"
