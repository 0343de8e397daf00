"""Rounds: mine with the model of the round before, publish, train, measure, and go on while that helps.

Every step is a room with a fingerprint or leaves a record in the folder of the loop, so that a loop that was killed
goes on at the step it was in, and ends with the same sets and the same model.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from prefect import flow

from flows.build import build, embed_role, gather_ledger, ingest_source, prepare_configured
from flows.train import fit_guide, fit_start
from negset import building
from negset.encoders.model_folder import find_model, folder_digests
from negset.errors import ConfigError, MissingObjectError
from negset.fingerprint import fingerprint
from negset.rounds.loop import (
    CROSS_RANKER,
    RANKER,
    RANKER_FOLDER,
    TRAINED,
    State,
    Version,
    loop_fingerprint,
    open_state,
    role_values,
    tell,
    trained_encoder,
)
from negset.rounds.report import RoundsReport, write_rounds, write_values
from negset.rounds.survey import survey_fingerprint
from negset.store import MANIFEST, Store, make_folder, read_json, write_durably
from schemas.config import BuildConfig
from schemas.encoder import EncoderConfig
from schemas.manifest import RoundIdentity
from schemas.refs import EncoderRef, NegativeSetRef, ScoresRef, SnapshotRef, SurveyRef
from schemas.rounds import RoundsConfig
from schemas.train import TrainConfig
from tasks import rounds as rooms
from tasks.place import Place
from tasks.policies import is_stored, through_cache
from tasks.publish import point_back
from tasks.sets import bring_version
from tasks.teach import teach

SET = "set.json"
"""Which version a round published, in its folder."""


@dataclass(frozen=True)
class Loop:
    """What all rounds of a loop share; `key` names it, `folder` is where its models and records lie."""

    config: BuildConfig
    train: TrainConfig
    options: RoundsConfig
    snapshot: SnapshotRef
    store: Store
    key: str
    folder: Path
    guide: EncoderRef | None

    def place(self, number: int) -> Path:
        """Give the folder of a round, 0 for the start."""
        return self.folder / (f"round-{number}" if number else "start")

    def encoder(self, number: int) -> EncoderConfig:
        """Give the encoder that mines round `number`: the configured one, then the model of the round before."""
        return self.config.encoder if number == 1 else self.trained(number - 1)

    def trained(self, number: int) -> EncoderConfig:
        """Give the encoder that round `number` trained, 0 for the start."""
        return trained_encoder(self.config.encoder, self.train, self.options, self.place(number), self.place(0))


@flow(name="rounds")
def rounds(config: BuildConfig, train: TrainConfig, options: RoundsConfig) -> str:
    """Run the rounds of `options`, each on the set that the model before it mined; give the folder of rounds.json.

    Raises ConfigError where the build has no dense miner, so that no model could mine.
    """
    if "dense" not in config.mine.miners:
        message = f"rounds mine with the model they train: add 'dense' to mine.miners, which are {config.mine.miners}"
        raise ConfigError(message)
    loop, states = _begin(config, train, options)
    versions: list[Version] = []
    world = rooms.open_world(loop.store, loop.snapshot, train, options)
    for number in range(1, options.rounds + 1):
        versions.append(_mined(loop, number, versions))
        states.append(_trained(loop, number, versions[-1]))
        values = role_values(world, states)
        write_values(values, loop.folder)
        report = tell(world, loop.key, config.name, states, versions, values, last=number == options.rounds)
        write_rounds(report, loop.folder)
        if report.status == "stopped":
            _keep_best(loop, report)
            break
    return str(loop.folder)


def _begin(config: BuildConfig, train: TrainConfig, options: RoundsConfig) -> tuple[Loop, list[State]]:
    """Name the loop, save its start, and measure that."""
    store = Place().open_store()
    snapshot = ingest_source(config, store)
    start = fit_start(train, snapshot, store) if train.model == "static" else None
    model = "" if start else str(find_model(train.model, "", "train.model"))
    begun = start.content if start else folder_digests(Path(model))
    guide = fit_guide(train, snapshot, store)
    mining = prepare_configured(config, snapshot, store)
    key = loop_fingerprint(
        config, train, options, snapshot.content, mining.content, [begun, guide.content if guide else ""]
    )
    folder = Place().runs_folder() / f"{config.name}-rounds-{key[:16]}"
    loop = Loop(config, train, options, snapshot, store, key, folder, guide)
    place = loop.place(0)
    through_cache(rooms.begin, rooms.is_begun(place))(
        train, options, snapshot, start, model, str(place), fingerprint=fingerprint(key, "start", place)
    )
    return loop, [open_state(store, place, _survey(loop, loop.trained(0)))]


def _ranker_files(config: BuildConfig) -> dict[str, str]:
    model = config.teach.cross_encoder
    found = find_model(model.model, model.revision, "teach.cross_encoder.model") if model.model else None
    return folder_digests(found) if found else {}


def _mined(loop: Loop, number: int, before: list[Version]) -> Version:
    """Publish the set of round `number`, or take it from the record of an earlier run."""
    published = _known_set(loop, number) or _built(loop, number, before)
    return Version(published, _survey_ref(loop, number), loop.store)


def _built(loop: Loop, number: int, before: list[Version]) -> NegativeSetRef:
    made = RoundIdentity(
        loop=loop.key,
        strategy=loop.options.strategy,
        round=number,
        checkpoint=_checkpoint(loop, number - 1) if number > 1 else "",
        parent=before[-1].published.fingerprint if before else None,
    )
    published = build(_round_build(loop, number), made)
    make_folder(loop.place(number))
    written = published.model_dump(exclude={"path"})
    write_durably(loop.place(number) / SET, f"{json.dumps(written)}\n".encode())
    return published


def _round_build(loop: Loop, number: int) -> BuildConfig:
    """Give the build of a round. That sets change is what rounds are for: drift is a warning in them."""
    drift = loop.config.gates.drift
    softer = drift.model_copy(update={"policy": "warn" if drift.policy == "fail" else drift.policy})
    gates = loop.config.gates.model_copy(update={"drift": softer})
    return loop.config.model_copy(update={"encoder": loop.encoder(number), "gates": gates})


def _known_set(loop: Loop, number: int) -> NegativeSetRef | None:
    record = loop.place(number) / SET
    if not record.is_file():
        return None
    written = read_json(record)
    try:
        version = bring_version(Place(), loop.config.set_name, str(written["fingerprint"]))
    except MissingObjectError:
        return None
    if not (version / MANIFEST).is_file():
        return None
    return NegativeSetRef.model_validate({**written, "path": str(version)})


def _trained(loop: Loop, number: int, version: Version) -> State:
    """Train round `number` on its set and look at what the model finds."""
    place = loop.place(number)
    begun = loop.place(number - 1 if loop.options.begin == "last" else 0)
    through_cache(rooms.train_round, rooms.is_trained(place))(
        version.published,
        loop.train,
        loop.options,
        loop.snapshot,
        str(begun),
        str(loop.place(0)),
        str(place),
        loop.guide,
        _ranked(loop, number, version),
        bool(loop.config.teach.cross_encoder.model),
        fingerprint=fingerprint(loop.key, number, version.published.fingerprint, place),
    )
    return open_state(loop.store, place, _survey(loop, loop.trained(number)))


def _ranked(loop: Loop, number: int, version: Version) -> ScoresRef | None:
    """Fit the ranker on what the round's miners proposed, and let it score that: its phase of `ar2`."""
    if loop.options.strategy != "ar2":
        return None
    config, store = _round_build(loop, number), loop.store
    ranker = CROSS_RANKER if config.teach.cross_encoder.model else RANKER
    if ranker == CROSS_RANKER:
        trained = config.teach.cross_encoder.model_copy(
            update={"model": str(_cross_ranker(loop, number, version)), "activation": "none"}
        )
        config = config.model_copy(update={"teach": config.teach.model_copy(update={"cross_encoder": trained})})
    refs = gather_ledger(_round_build(loop, number), store)
    key = building.scores_key(config, refs, ranker, store)
    there = is_stored(store, ScoresRef, key)
    return through_cache(teach, there)(config, refs, ranker, fingerprint=key)


def _cross_ranker(loop: Loop, number: int, version: Version) -> Path:
    """Train the cross-encoder of the round before, first the configured one, on the set of round `number`."""
    place, model = loop.place(number), loop.config.teach.cross_encoder
    going_on = number > 1 and loop.options.begin == "last"
    begun = (
        loop.place(number - 1) / RANKER_FOLDER
        if going_on
        else find_model(model.model, model.revision, "teach.cross_encoder.model")
    )
    through_cache(rooms.train_ranker, rooms.is_ranked(place))(
        version.published,
        model,
        loop.train,
        loop.options,
        loop.snapshot,
        str(begun),
        str(place),
        fingerprint=fingerprint(loop.key, "ranker", number, version.published.fingerprint, place),
    )
    return place / RANKER_FOLDER


def _survey_ref(loop: Loop, number: int) -> SurveyRef:
    return _survey(loop, loop.encoder(number))


def _survey(loop: Loop, encoder: EncoderConfig) -> SurveyRef:
    """Embed all texts by `encoder` and find the best documents of the labelled queries."""
    store, snapshot = loop.store, loop.snapshot
    prepared = prepare_configured(loop.config.model_copy(update={"encoder": encoder}), snapshot, store)
    queries = embed_role(encoder, prepared, snapshot, "query", store)
    documents = embed_role(encoder, prepared, snapshot, "document", store)
    splits = sorted({loop.train.split, loop.train.held_out, loop.options.validation_split} - {""})
    depth = loop.options.depth
    key = survey_fingerprint(queries, documents, splits, depth)
    there = is_stored(store, SurveyRef, key)
    return through_cache(rooms.survey, there)(queries, documents, snapshot, splits, depth, fingerprint=key)


def _checkpoint(loop: Loop, number: int) -> str:
    return str(read_json(loop.place(number) / TRAINED)["checkpoint"])


def _keep_best(loop: Loop, report: RoundsReport) -> None:
    """Point LATEST to the set of the best round, where the last one made things worse."""
    if report.best:
        point_back(Place(), loop.config.set_name, report.rounds[report.best - 1].version)
