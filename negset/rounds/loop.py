"""A loop of rounds as data: what names it, what each model is, and what is told of all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from negset.building import bind
from negset.fingerprint import fingerprint
from negset.mining.recipe import recipe_fingerprint
from negset.probing.bootstrap import Values
from negset.publishing.manifest import config_identity
from negset.publishing.reading import read_set
from negset.rounds.deciding import Decision, decide
from negset.rounds.figures import MEASURE, Mined, RoundFigures, StartFigures, behind_figures, mining_figures
from negset.rounds.report import RoundsReport
from negset.rounds.survey import Survey, measures, open_survey
from negset.store import Store, read_json
from negset.training.option_files import by_content
from schemas.config import BuildConfig
from schemas.encoder import EncoderConfig
from schemas.refs import NegativeSetRef, SurveyRef
from schemas.rounds import RoundsConfig
from schemas.train import TrainConfig

if TYPE_CHECKING:
    from negset.rounds.training import World

VERSION: Final = 1
"""Raised when rounds give other sets or models for the same input."""
RANKER: Final = "relevance"
CROSS_RANKER: Final = "cross_encoder"
"""The teachers that may be the ranker of `ar2`: the second where a cross-encoder is configured."""
RANKER_FOLDER: Final = "ranker"
RANKED: Final = "ranked.json"
"""What the phase of a ranker did; written last."""
MODEL: Final = "model"
BEGUN: Final = "begun.json"
TRAINED: Final = "trained.json"
QUERIES: Final = "queries.npy"
DOCUMENTS: Final = "documents.npy"


@dataclass(frozen=True)
class State:
    """A model of the loop, the start or that of a round: its folder, its record, and what it finds."""

    folder: Path
    record: dict[str, object]
    survey: Survey


@dataclass(frozen=True)
class Version:
    """The set of a round, and what the model that mined it finds."""

    published: NegativeSetRef
    miner: SurveyRef
    store: Store

    def mined(self) -> Mined:
        """Read its negatives and the survey of its miner."""
        columns = ["query_id", "doc_id", "score", "positive_score"]
        negatives = read_set(Path(self.published.path)).table("negatives").select(columns)
        return Mined(negatives, open_survey(self.store, self.miner))


def loop_fingerprint(
    config: BuildConfig, train: TrainConfig, options: RoundsConfig, snapshot: str, encoder: str, start: object
) -> str:
    """Name a loop: all that decides its sets and models, places and the number of rounds left out.

    `snapshot`, `encoder` and `start` are the contents of the corpus, of the configured encoder, and of the model that
    the first round trains with the guide that its loss asks.
    """
    bound = bind(config)
    named = {"model": "static" if train.model == "static" else "", "guide": ""}
    trained = by_content(train).model_copy(update=named)
    made = config_identity(config, bound.teachers)
    return fingerprint("rounds", VERSION, snapshot, encoder, start, made, recipe_fingerprint(bound), trained, options)


def ranker_identity(config: BuildConfig, options: RoundsConfig, files: object) -> object:
    """Give all that decides the ranker of `ar2`: its options, and the `files` of its model where it has one."""
    if options.strategy != "ar2":
        return ""
    if not config.teach.cross_encoder.model:
        return [RANKER, config.teach.relevance]
    return [CROSS_RANKER, config.teach.cross_encoder.model_copy(update={"model": ""}), files]


def trained_encoder(
    mined: EncoderConfig, train: TrainConfig, options: RoundsConfig, folder: Path, start: Path
) -> EncoderConfig:
    """Give the encoder that the model in the `folder` of a round is, or with frozen documents its queries' vectors.

    How vectors are kept and batched is as the encoder `mined` says; a text is cut as in training.
    """
    kept = {name: getattr(mined, name) for name in ("storage", "batch_size", "shard_size", "device")}
    if options.strategy == "adore":
        vectors = {"query_vectors": str(folder / QUERIES), "document_vectors": str(start / DOCUMENTS)}
        return EncoderConfig.model_validate({"backend": "precomputed", **vectors, **kept})
    model = {"backend": "sentence-transformers", "model": str(folder / MODEL), "max_length": train.max_length}
    return EncoderConfig.model_validate({**model, **kept})


def open_state(store: Store, folder: Path, survey: SurveyRef) -> State:
    """Read the record of the model in `folder`, whose `survey` is known."""
    record = folder / TRAINED
    return State(folder, read_json(record if record.is_file() else folder / BEGUN), open_survey(store, survey))


def role_values(world: "World", states: Sequence[State]) -> list[dict[str, Values]]:
    """Give nDCG@10 of each validation and each held-out query, for the start and the models of all rounds."""
    roles = {"validation": world.roles.validation, "held_out": world.roles.held_out}
    return [
        {role: measures(world.collection, state.survey, rows)[MEASURE] for role, rows in roles.items()}
        for state in states
    ]


def tell(
    world: "World",
    key: str,
    dataset: str,
    states: Sequence[State],
    versions: Sequence[Version],
    values: Sequence[Mapping[str, Values]],
    *,
    last: bool,
) -> RoundsReport:
    """Describe the rounds so far: `states` are the start and the models of all rounds, `versions` their sets.

    `values` are those of `role_values`; `last` says whether no round is left.
    """
    roles = world.roles
    decisions = decide([found["validation"] for found in values], world.train.seed)
    told = [
        _round_figures(world, number, states, versions, values[number], decision)
        for number, decision in enumerate(decisions, start=1)
    ]
    best = decisions[-1].best
    start = StartFigures(
        checkpoint=str(states[0].record["checkpoint"]),
        validation=_mean(values[0]["validation"]),
        held_out=_mean(values[0]["held_out"]) if len(roles.held_out) else None,
    )
    return RoundsReport(
        loop=key,
        dataset=dataset,
        strategy=world.rounds.strategy,
        status="stopped" if decisions[-1].worse else "finished" if last else "going on",
        validation_queries=len(roles.validation),
        held_out_queries=len(roles.held_out),
        depth=world.rounds.depth,
        best=best,
        model=f"{states[best].folder.name}/{MODEL}",
        start=start,
        rounds=tuple(told),
    )


def _round_figures(
    world: "World",
    number: int,
    states: Sequence[State],
    versions: Sequence[Version],
    values: Mapping[str, Values],
    decision: Decision,
) -> RoundFigures:
    version, record = versions[number - 1], states[number].record
    before = versions[number - 2].mined() if number > 1 else None
    return RoundFigures(
        round=number,
        version=version.published.fingerprint,
        mined_by=str(states[number - 1].record["checkpoint"]) if number > 1 else "",
        checkpoint=str(record["checkpoint"]),
        mining=mining_figures(world.collection, world.roles.trained, version.mined(), before),
        queries_trained=int(str(record["queries"])),
        steps=int(str(record["steps"])),
        loss_first=float(str(record["loss_first"])),
        loss_last=float(str(record["loss_last"])),
        validation=_mean(values["validation"]),
        held_out=_mean(values["held_out"]) if len(world.roles.held_out) else None,
        fooled=None if record.get("fooled") is None else float(str(record["fooled"])),
        behind=behind_figures(decision),
        worse=decision.worse,
    )


def _mean(values_Q: Values) -> float:
    return round(float(values_Q.mean()), 6)
