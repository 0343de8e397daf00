"""Kill a build with SIGKILL at random moments and see that the next run ends with the same version.

    python -m benchmarks.kill_build [--source FOLDER] [--kills 30] [--seed 1]

Each round starts `negset build` in an empty home, kills it somewhere between its start and its end, runs it again
and compares the id with that of an undisturbed build; `negset verify` must accept the set. The last line is one
JSON object. Exit code 1 if any round ended otherwise.
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

from benchmarks.build_overhead import CONFIG, USUAL

_NEGSET = [sys.executable, "-m", "flows.cli"]


def main() -> None:
    """Kill, resume, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default=os.environ.get("NEGSET_SCIFACT", str(USUAL)), help="a BEIR folder")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not Path(options.source).is_dir():
        parser.exit(2, f"no BEIR folder at {options.source}; give one with --source\n")
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "build.toml"
        config.write_text(CONFIG.format(source=options.source))
        start = time.perf_counter()
        expected = _build(config, Path(folder) / "undisturbed")
        length = time.perf_counter() - start
        failed = 0
        for number in range(options.kills):
            home = Path(folder) / str(number)
            _kill(config, home, draw.uniform(0, length))
            room = _last_room(home)
            good = _build(config, home) == expected and _verified(home)
            failed += not good
            print(f"kill {number + 1}: last artifact before it {room}, {'same id' if good else 'FAILED'}", flush=True)
    print(json.dumps({"kills": options.kills, "failed": failed, "id": expected, "build_s": round(length, 1)}))
    sys.exit(1 if failed else 0)


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "NEGSET_HOME": str(home)}


def _build(config: Path, home: Path) -> str:
    """Build to the end and give the id; the output is kept for whoever has to see why it failed."""
    run = subprocess.run(
        [*_NEGSET, "build", str(config)], env=_environment(home), capture_output=True, text=True, check=False
    )
    if run.returncode:
        print(run.stderr[-2000:], flush=True)
        return ""
    return Path(run.stdout.split()[1]).name


def _kill(config: Path, home: Path, after: float) -> None:
    process = subprocess.Popen(
        [*_NEGSET, "build", str(config)], env=_environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_room(home: Path) -> str:
    kinds = [path for path in (home / "store").glob("*") if path.name != "staging"]
    return max(kinds, key=lambda path: path.stat().st_mtime).name if kinds else "none"


def _verified(home: Path) -> bool:
    command = [*_NEGSET, "verify", str(home / "sets" / "overhead")]
    return subprocess.run(command, env=_environment(home), capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main()
