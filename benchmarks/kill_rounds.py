"""Kill rounds with SIGKILL at random moments and see that the next run ends with the same sets and models.

    python -m benchmarks.kill_rounds [--source FOLDER] [--strategy ance] [--rounds 3] [--kills 20] [--seed 1]

An undisturbed run first; then one run in another home is killed, again and again, each time at a moment drawn between
its start and the time that the undisturbed run took, until it was killed `--kills` times or came to its end; where it
ends before, another home begins. What is compared: the table of rounds, every file of every model, the id of every
version, which `negset verify` must accept. The last line is one JSON object. Exit code 1 if anything differed.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.build_overhead import USUAL

_NEGSET = [sys.executable, "-m", "flows.cli"]
_CONFIG = """name = "kill"
[source]
format = "beir"
path = "{source}"
[mine]
splits = ["train"]
[recipe]
name = "perc-pos"
negatives = 5
"""
_DONE = (0, 3)
"""Exit codes of rounds that came to their end: all were done, or one made things worse."""


def main() -> None:
    """Kill, resume, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default=os.environ.get("NEGSET_SCIFACT", str(USUAL)), help="a BEIR folder")
    parser.add_argument("--strategy", default="ance", choices=("ance", "adore", "ar2"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not Path(options.source).is_dir():
        parser.exit(2, f"no BEIR folder at {options.source}; give one with --source\n")
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "build.toml"
        config.write_text(_CONFIG.format(source=options.source))
        command = [*_NEGSET, "rounds", str(config), "--strategy", options.strategy, "--rounds", str(options.rounds)]
        command += ["--set", "train.checkpoint_every=5", "--set", "train.device=cpu"]
        start = time.perf_counter()
        undisturbed = Path(folder) / "undisturbed"
        _finish(command, undisturbed)
        length = time.perf_counter() - start
        expected, failed, kills, homes = _outcome(undisturbed), 0, 0, 0
        while kills < options.kills:
            home, homes = Path(folder) / str(homes), homes + 1
            while kills < options.kills and _kill(command, home, draw.uniform(0, length)):
                kills += 1
                print(f"kill {kills}: last step before it {_last_step(home)}", flush=True)
            _finish(command, home)
            good = _outcome(home) == expected and _verified(home)
            failed += not good
            print(f"home {homes}: {'the same sets and models' if good else 'FAILED'}", flush=True)
    print(json.dumps({"kills": kills, "homes": homes, "failed": failed, "files": len(expected), "s": round(length, 1)}))
    sys.exit(1 if failed else 0)


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "NEGSET_HOME": str(home)}


def _finish(command: list[str], home: Path) -> None:
    run = subprocess.run(command, env=_environment(home), capture_output=True, text=True, check=False)
    if run.returncode not in _DONE:
        print(run.stderr[-2000:], flush=True)
        sys.exit(1)


def _kill(command: list[str], home: Path, after: float) -> bool:
    """Kill the run after so many seconds; say whether it was still running then."""
    process = subprocess.Popen(command, env=_environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def _last_step(home: Path) -> str:
    """Name the file of the loop, or the kind of artifact, that was written last."""
    written = [path for path in [*(home / "runs").glob("*/*/*"), *(home / "store").glob("*")] if path.name != "staging"]
    return str(max(written, key=lambda path: path.stat().st_mtime).relative_to(home)) if written else "none"


def _outcome(home: Path) -> dict[str, bytes]:
    """Give the bytes of all that a loop leaves for others."""
    (folder,) = (home / "runs").iterdir()
    kept = [folder / "rounds.json", *folder.glob("*/model/**/*"), *folder.glob("*/trained.json")]
    versions = (home / "sets" / "kill" / "versions").glob("*/manifest.json")
    return {str(path.relative_to(home)): path.read_bytes() for path in [*kept, *versions] if path.is_file()}


def _verified(home: Path) -> bool:
    versions = sorted((home / "sets" / "kill" / "versions").iterdir())
    return all(
        subprocess.run(
            [*_NEGSET, "verify", str(path)], env=_environment(home), capture_output=True, check=False
        ).returncode
        == 0
        for path in versions
    )


if __name__ == "__main__":
    main()
