"""The command line: `negset COMMAND`; `negset --help` lists the commands.

A subcommand imports what it needs when it runs, so that `--help` answers at once.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from negset.errors import NegsetError

_COMMANDS = {
    "init": "recognise a corpus and write a starter config",
    "build": "build, check and publish a negative set",
    "backfill": "build the partitions of a dataset that are missing, failed or out of date",
    "status": "show how every partition of a dataset stands",
    "deploy": "register schedules and what looks after their runs on a Prefect server",
    "doctor": "check this machine, the store and the Prefect server, and say how to mend what is wrong",
    "train": "train an encoder on a published set and measure it before and after",
    "rounds": "mine again with the model that was trained on the set, several times",
    "merge": "merge models that were trained from one start",
    "batches": "plan which queries of a set share a batch, or list the plans there are",
    "plan": "say what a build would run, what is cached, and how much memory it needs",
    "audit": "estimate how many negatives are false, by hidden positives or by votes of people",
    "calibrate": "show what every threshold would do to a corpus, and recommend one",
    "rules": "list the rules and teachers that a recipe can use, or the recipes that are shipped",
    "losses": "list the losses that an encoder can be trained by, or show one with its options",
    "show": "show a set, or one of its queries with all that was chosen and rejected",
    "verify": "check a published set against its manifest",
    "diff": "compare two versions of a set, and say whether a reader can take the new one",
    "explain": "say why a document is, or is not, a negative of a query",
    "history": "list the versions of a set, oldest first",
    "rollback": "point a set back to an earlier version",
    "tag": "give a version of a set a name",
    "gc": "remove old versions, and artifacts that nothing needs any more",
    "probe": "rank negative sets by what a small model learns from each, in seconds",
    "ablate": "compare hard, easy, random and mixed negatives of one size: does it matter?",
    "transfer": "measure what training on one domain or set does to another",
    "tune": "choose the recipe by measurement on your own training queries",
    "demo": "run the main job on the docstrings of the installed Python packages",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` name and give its exit code; 0 is success.

    2 is a wrong request or input, 3 a gate that said no, 4 a fault of disk, memory or a file, 5 a conflict.
    """
    import flows  # noqa: F401 - its import sets the defaults that keep libraries from phoning home

    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = import_module(f"flows.commands.{options.command}").run
    try:
        return command(options)
    except NegsetError as error:
        print(f"negset {options.command}: {error}", file=sys.stderr)
        return error.exit_code
    except MemoryError:
        print(f"negset {options.command}: out of memory; `negset plan` says how much is needed", file=sys.stderr)
        return 4
    except KeyboardInterrupt:
        print(f"negset {options.command}: interrupted; run it again to go on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="negset", description="Versioned, validated negative sets for training retrievers."
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    made = {name: commands.add_parser(name, help=text, description=text) for name, text in _COMMANDS.items()}

    made["init"].add_argument("--source", required=True, metavar="PATH", help="folder or file that holds the corpus")
    made["init"].add_argument("--out", required=True, metavar="CONFIG", help="config to write, e.g. build.toml")
    made["init"].add_argument("--name", metavar="NAME", help="name of the set (default: after the source)")
    for name in ("build", "plan"):
        made[name].add_argument("config", metavar="CONFIG", help="build file (TOML)")
        _add_overrides(made[name])
        _add_as_of(made[name])
        _add_partition(made[name])
    _add_backfill(made["backfill"])
    _add_status(made["status"])
    _add_deploy(made["deploy"])
    _add_doctor(made["doctor"])
    made["train"].add_argument("set", metavar="SET", help="folder of a set or of one version")
    made["train"].add_argument("--config", metavar="CONFIG", help="training file (TOML)")
    _add_overrides(made["train"])
    made["train"].add_argument(
        "--processes",
        action="append",
        type="processes={}".format,
        dest="overrides",
        metavar="N",
        help="processes that share each batch: short for --set processes=N",
    )
    _add_rounds(made["rounds"])
    _add_merge(made["merge"])
    _add_batches(made["batches"])
    _add_audit(made["audit"])
    _add_calibrate(made["calibrate"])
    made["rules"].add_argument("--recipes", action="store_true", help="list the shipped recipes instead")
    made["rules"].add_argument("--teachers", action="store_true", help="list only the teachers, that rules may ask")
    made["rules"].add_argument("name", nargs="?", metavar="NAME", help="show one rule, teacher or recipe in full")
    made["losses"].add_argument("name", nargs="?", metavar="NAME", help="show one loss in full")
    made["show"].add_argument("set", metavar="SET", help="folder of a set or of one version")
    made["show"].add_argument("--query", metavar="ID", help="show this query")
    made["verify"].add_argument("path", metavar="PATH", help="folder of a set or of one version")
    made["verify"].add_argument("--public-key", metavar="PEM", help="check its signature by this key too")
    _add_versions(made)
    _add_gc(made["gc"])
    _add_probe(made["probe"])
    _add_tune(made["tune"])
    _add_ablate(made["ablate"])
    _add_transfer(made["transfer"])
    made["demo"].add_argument("--home", metavar="FOLDER", default=".negset", help="where to put it (default .negset)")
    return parser


def _add_versions(made: Mapping[str, argparse.ArgumentParser]) -> None:
    """Add what the commands on the versions of a set take."""
    made["diff"].add_argument("old", metavar="OLD", help="folder of the old version, or SET@VERSION, or SET@TAG")
    made["diff"].add_argument("new", metavar="NEW", help="the new one; a folder of a set means its latest version")
    made["explain"].add_argument("set", metavar="SET", help="folder of a set or of one version")
    made["explain"].add_argument("query", metavar="QUERY", help="id of the query")
    made["explain"].add_argument("doc", metavar="DOC", help="id of the document")
    made["explain"].add_argument(
        "--config", metavar="CONFIG", help="build file of the set: ask every miner and every rule again"
    )
    _add_overrides(made["explain"])
    _add_as_of(made["explain"])
    _add_partition(made["explain"])
    for name in ("history", "rollback", "tag"):
        made[name].add_argument("set", metavar="SET", help="folder or address of a set")
    made["rollback"].add_argument(
        "version", nargs="?", default="", metavar="VERSION", help="version or tag (default: the one before the latest)"
    )
    made["tag"].add_argument("version", metavar="VERSION", help="id of the version, its first digits, or latest")
    made["tag"].add_argument("name", metavar="NAME", help="name: small letters, digits, '.', '_' and '-'")
    made["tag"].add_argument("--move", action="store_true", help="take the name from another version that has it")
    made["tag"].add_argument("--delete", action="store_true", help="take the name from VERSION")
    for name in ("diff", "explain", "history"):
        made[name].add_argument("--json", metavar="FILE", help="write it there too")


def _add_gc(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", type=int, default=10, metavar="N", help="versions of a set that are kept (10)")
    parser.add_argument("--days", type=float, default=30, metavar="D", help="days for which a version is kept (30)")
    parser.add_argument("--grace", type=float, default=3, metavar="D", help="days in which nothing was touched (3)")
    parser.add_argument(
        "--unused", type=float, metavar="D", help="remove cached rooms too that no version needs, unused for D days"
    )
    parser.add_argument("--delete", action="store_true", help="remove it; without this, only say what would go")
    parser.add_argument("--json", metavar="FILE", help="write what goes there too")


def _add_rounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="build file (TOML)")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds in all (default 3)")
    parser.add_argument(
        "--strategy",
        choices=("ance", "adore", "ar2"),
        help="embed all anew (default), train queries beside frozen documents, or train against a ranker",
    )
    parser.add_argument("--train", metavar="CONFIG", help="training file (TOML), with a section [rounds]")
    _add_overrides(parser)
    _add_as_of(parser)


def _add_merge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", metavar="BASE", help="folder or name of the model that all were trained from")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="folder or name of a trained model")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--weights", metavar="A,B", help="how much of each model, in their order")
    how.add_argument("--learn", action="append", default=[], metavar="SET", help="learn it on this set; repeatable")
    parser.add_argument("--scale", type=float, metavar="X", help="stretch the difference from BASE (with --weights, 1)")
    parser.add_argument("--queries", type=int, metavar="N", help="training queries drawn of each set (--learn, 256)")
    parser.add_argument("--steps", type=int, metavar="N", help="steps of learning (--learn, 200)")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="new folder of the merged model")


def _add_batches(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("set", nargs="?", default="", metavar="SET", help="folder of a set or of one version")
    parser.add_argument("--plan", default="", metavar="NAME", help="how (default shuffled); alone: show its options")
    parser.add_argument("--epochs", type=int, default=5, metavar="N", help="epochs to plan (5)")
    parser.add_argument("--batch-size", type=int, default=128, metavar="N", help="queries in a batch (128)")
    parser.add_argument("--seed", type=int, default=13, help="seed of what is drawn (13)")
    parser.add_argument("--split", default="train", help="split whose queries are planned (train)")
    parser.add_argument("--held-out", default="test", metavar="SPLIT", help="split that a run measures on (test)")
    parser.add_argument("--out", default="", metavar="FOLDER", help="copy the plan's tables there")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="key=value",
        help="change one option of the plan; repeatable",
    )


def _add_audit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="CONFIG|SET", help="build file; with --sample or --votes, folder of a set")
    parser.add_argument("--recipes", default="", metavar="A,B", help="recipes (default: the config's, and naive)")
    _add_hiding(parser)
    parser.add_argument("--repeats", type=int, default=0, metavar="N", help="parts to hide (default: all, each once)")
    parser.add_argument(
        "--unlabelled",
        type=float,
        default=1.0,
        metavar="N",
        help="unlabelled positives assumed for each known one (default 1)",
    )
    parser.add_argument("--strata", action="store_true", help="print the rates of groups too")
    parser.add_argument("--sample", type=int, metavar="N", help="draw N negatives of the set for people to judge")
    parser.add_argument("--out", metavar="CSV", help="where --sample writes its questions")
    parser.add_argument("--votes", action="append", default=[], metavar="CSV", help="read votes; repeatable")
    _add_reports(parser)
    _add_overrides(parser)
    _add_as_of(parser)


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="build file (TOML)")
    parser.add_argument("--target-rate", type=float, default=0.05, metavar="SHARE", help="return rate allowed (0.05)")
    parser.add_argument("--target-lost", type=float, default=0.1, metavar="SHARE", help="rows allowed to be lost (0.1)")
    parser.add_argument("--queries", type=int, default=1000, metavar="N", help="queries drawn, 0 for all (1000)")
    _add_hiding(parser)
    _add_reports(parser)
    _add_overrides(parser)
    _add_as_of(parser)


def _add_hiding(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hide", type=float, default=0.2, metavar="SHARE", help="share of a query's positives hidden at a time (0.2)"
    )
    parser.add_argument("--seed", type=int, default=13, help="seed of what is drawn (13)")


def _add_reports(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("--html", metavar="FILE", help="write a page there")


def _add_probe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sets", nargs="+", metavar="SET", help="folder of a set, or a Parquet of negatives (query_id, doc_id)"
    )
    parser.add_argument("--config", metavar="CONFIG", help="build file that says which corpus and encoder")
    parser.add_argument(
        "--kind",
        choices=("adapter", "static"),
        default="adapter",
        help="a linear map over the encoder's vectors (default), or a bag of word embeddings",
    )
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="runs for each set (default 5)")
    parser.add_argument(
        "--held-out", default="", metavar="SPLIT", help="split that is measured (default: test, if there is one)"
    )
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured to this file too")


def _add_tune(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="build file (TOML)")
    _add_overrides(parser)
    parser.add_argument("--recipes", default="", metavar="A,B", help="recipes to try (default: all that are shipped)")
    parser.add_argument(
        "--kind", choices=("adapter", "static"), default="adapter", help="what is trained, as in negset probe"
    )
    parser.add_argument("--budget", type=int, default=0, metavar="N", help="trainings to spend (default 3 a candidate)")
    parser.add_argument("--write", action="store_true", help="write the chosen recipe into CONFIG")
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured to this file too")


def _add_ablate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="build file (TOML) whose candidates are composed")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each composition (3 or more)")
    parser.add_argument("--negatives", type=int, default=4, metavar="N", help="negatives of each query (default 4)")
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured to this file too")
    _add_overrides(parser)


def _add_transfer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sets", nargs="+", metavar="SET", help="folder of a set; several of one encoder")
    parser.add_argument("--by", default="", metavar="FIELD", help="metadata field of the queries that names domains")
    parser.add_argument("--target", default="test", metavar="SPLIT", help="split that is measured (default test)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each training (default 3)")
    parser.add_argument(
        "--order", choices=("hardness", "time"), help="group ten buckets of training queries in this order instead"
    )
    parser.add_argument("--groups", type=int, default=3, metavar="K", help="groups formed by --order at the most (3)")
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured to this file too")


def _add_overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="section.key=value",
        help="change one value; repeatable",
    )


def _add_as_of(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--as-of",
        action="append",
        type="source.as_of={}".format,
        dest="overrides",
        metavar="DATE",
        help="use what was known then, a date (its end) or a time in UTC: short for --set source.as_of=DATE",
    )


def _add_partition(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--partition",
        action="append",
        type="partition={}".format,
        dest="overrides",
        metavar="NAME",
        help="the partition to build, latest for the newest: short for --set partition=NAME",
    )


def _add_backfill(parser: argparse.ArgumentParser) -> None:
    _add_range(parser)
    parser.add_argument(
        "--only",
        choices=("holes", "missing", "failed", "stale"),
        default="",
        help="build only these; holes are missing or failed (default: all)",
    )
    parser.add_argument("--max-parallel", type=int, default=1, metavar="N", help="partitions at a time (default 1)")
    parser.add_argument("--dry-run", action="store_true", help="show what would be built, and build nothing")
    parser.add_argument("--json", metavar="FILE", help="write how every partition stands in the end there")


def _add_status(parser: argparse.ArgumentParser) -> None:
    _add_range(parser)
    parser.add_argument("--json", metavar="FILE", help="write it there too")


def _add_deploy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="build file (TOML), with a section [schedule]")
    parser.add_argument("--work-pool", default="negset", metavar="POOL", help="work pool of its runs (default negset)")
    times = parser.add_mutually_exclusive_group()
    times.add_argument("--cron", metavar="CRON", help="when it is built: short for --set schedule.cron=CRON")
    times.add_argument("--interval", metavar="TIME", help="such as 6h: short for --set schedule.interval=TIME")
    parser.add_argument("--timezone", metavar="ZONE", help="short for --set schedule.timezone=ZONE")
    parser.add_argument("--train", metavar="CONFIG", help="training file (TOML) of the train and rounds deployments")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    parser.add_argument("--write", metavar="FILE", help="write a prefect.yaml of the deployments instead")
    _add_overrides(parser)


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="build file (TOML) to check for too")
    parser.add_argument("--json", metavar="FILE", help="write what was found there too; - for the standard output")
    _add_overrides(parser)


def _add_range(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="build file (TOML) with a section [partitions]")
    parser.add_argument("--from", default="", dest="first", metavar="PARTITION", help="the first partition")
    parser.add_argument("--to", default="", dest="last", metavar="PARTITION", help="the last one, included")
    _add_overrides(parser)


def _version() -> str:
    from importlib.metadata import version

    return f"negset {version('negset')}"


if __name__ == "__main__":
    sys.exit(main())
