"""How long a build takes beyond what encoding and searching themselves take, and how fast the help answers.

    python -m benchmarks.build_overhead [--source FOLDER] [--runs 3]

Each run is a pair: the whole process `negset build` in an empty home, and then the same encoding and searching
called directly, timed without imports. Their difference is what a user pays for ingestion, orchestration,
selection, gates, publishing and imports. The last line is one JSON object with the medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

USUAL = Path(__file__).parents[2] / "shared" / "data" / "native" / "scifact_beir"

CONFIG = """\
name = "overhead"
[source]
format = "beir"
path = "{source}"
[mine]
miners = ["dense", "bm25"]
splits = ["train"]
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default=os.environ.get("NEGSET_SCIFACT", str(USUAL)), help="a BEIR folder")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if not Path(options.source).is_dir():
        parser.exit(2, f"no BEIR folder at {options.source}; give one with --source\n")
    with tempfile.TemporaryDirectory() as folder:
        rows = [_measure(Path(folder) / str(run), options.source) for run in range(options.runs)]
    medians = {name: round(statistics.median(row[name] for row in rows), 2) for name in rows[0]}
    print(json.dumps({"source": Path(options.source).name, "runs": options.runs, "cpus": os.cpu_count(), **medians}))


def _measure(folder: Path, source: str) -> dict[str, float]:
    folder.mkdir()
    config = folder / "build.toml"
    config.write_text(CONFIG.format(source=source))
    negset = [sys.executable, "-m", "flows.cli"]
    environment = {**os.environ, "NEGSET_HOME": str(folder / "home")}
    first = _seconds([*negset, "build", str(config)], environment)
    again = _seconds([*negset, "build", str(config)], environment)
    bare = subprocess.run(
        [sys.executable, "-m", "benchmarks.bare_search", str(config), str(folder / "bare")],
        capture_output=True,
        text=True,
        check=True,
    )
    encode, search = json.loads(bare.stdout.splitlines()[-1])
    return {
        "build_s": first,
        "encode_s": encode,
        "search_s": search,
        "overhead_s": first - encode - search,
        "build_again_s": again,
        "help_s": _seconds([*negset, "--help"], environment),
    }


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
