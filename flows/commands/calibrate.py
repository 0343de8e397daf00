"""`negset calibrate CONFIG`: what every threshold would do, before anything is selected or published."""

import argparse
from pathlib import Path

from rich.markup import escape

from flows.commands.audit import make_console, print_table, write_out
from flows.session import prefect_session
from negset.audit import opening, page
from negset.audit.calibration import Calibration, CalibrationOptions, calibrate
from negset.audit.evidence import sample_queries
from negset.building import bind
from negset.configuration import load_build_config
from negset.errors import ConfigError
from negset.mining.recipe import UNSCORED_MINERS, load_recipe


def run(options: argparse.Namespace) -> int:
    """Mine what `options.config` asks for, try every threshold on it, and recommend one."""
    config = load_build_config(Path(options.config), options.overrides)
    own = bind(config).by
    miners = [own, *(name for name in config.mine.miners if name not in (own, *UNSCORED_MINERS))]
    if own in UNSCORED_MINERS:
        message = f"mine.miners is {', '.join(config.mine.miners)}: a threshold needs a miner that gives scores"
        raise ConfigError(message)
    wanted = CalibrationOptions(
        hide=options.hide, seed=options.seed, target_rate=options.target_rate, target_lost=options.target_lost
    )
    with prefect_session():
        # Prefect is imported while its server starts.
        from flows.audit import gather
        from tasks.place import Place
        from tasks.progress import shown_progress

        refs, store = gather([config]), Place().open_store()
        with shown_progress("calibrate") as progress:
            evidences = [
                sample_queries(opening.open_build_evidence(config, refs, store, miner), options.queries, options.seed)
                for miner in miners
            ]
            found = calibrate(
                evidences,
                load_recipe(config.recipe),
                config.mine.miners,
                config.seed,
                wanted,
                config.name,
                progress,
            )
    _print(found)
    if options.json:
        write_out(options.json, found.model_dump_json(indent=2) + "\n")
    if options.html:
        write_out(options.html, page.render_calibration(found))
    return 0


def _print(found: Calibration) -> None:
    console = make_console()
    for miner in found.miners:
        rows = [page.setting_row(one) for one in miner.settings]
        print_table(console, f"{found.dataset}, scores of {miner.miner}", page.CALIBRATION_HEAD, rows)
    for line in page.calibration_summary(found):
        console.print(escape(line), highlight=False)
