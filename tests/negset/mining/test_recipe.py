import pytest

from negset.errors import ConfigError, IncompatibleRuleError, UnknownRuleError
from negset.mining import rules as registry
from negset.mining.recipe import (
    basis_miner,
    bind_recipe,
    list_rules,
    load_recipe,
    recipe_fingerprint,
    shipped_recipes,
)
from negset.mining.rules import Params, rule
from schemas.config import RecipeConfig

PLAIN = [
    *["abs", "asl", "atss", "ensemble-cross", "ensemble-intra", "fused", "margin-pos", "naive", "nv-retriever"],
    *["perc-pos", "random", "sample4geo", "shifted", "simans", "star", "strata"],
]
TAUGHT = {
    "adapted": "adapter",
    "ar2": "relevance",
    "cet": "selection",
    "clipn": "yes_no",
    "cocitation": "hops",
    "denoised": "relevance",
    "event-driven": "event",
    "gistembed": "guide",
    "llm-judge": "judge",
    "look": "neighbours",
    "protoclip": "prototype",
    "reviewed": "votes",
    "rlhn": "relevance",
    "rocketqa": "relevance",
}
SIMANS = {"sharpness": 0.5, "offset": 0.0, "units": "spread", "size": 100}
GUARDS = ["known_positive", "own_text", "positive_duplicate", "duplicate"]


def needs(bound):
    """Give the columns that the rules of a bound recipe read."""
    return {column for step in bound.rules for column in step.rule.columns(step.params)}


def bind(miners=("dense", "random"), seed=13, **config):
    return bind_recipe(load_recipe(RecipeConfig(**config)), miners, seed)


def names(bound):
    return [step.rule.name for step in bound.rules]


def written(folder, text):
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_the_shipped_recipes():
    assert shipped_recipes() == sorted([*PLAIN, *TAUGHT])


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_binds_guards_against_twins_and_names_its_source(name):
    recipe = load_recipe(RecipeConfig(name=name))
    assert recipe.description
    assert recipe.source
    bound = bind(miners=("dense", "random", "geo", "relation", *TAUGHT.values()), name=name)
    first = names(bound)[: 5 if name == "event-driven" else 4]
    assert [rule for rule in first if rule != "stale_event"] == GUARDS
    assert bound.wanted == 4
    assert bound.by == "dense"


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("naive", [("top", {"k": 4})]),
        ("shifted", [("rank_window", {"by": "", "first": 11, "last": 0, "over": "survivors"}), ("top", {"k": 4})]),
        ("abs", [("max_score", {"by": "", "threshold": 0.7}), ("top", {"k": 4})]),
        ("margin-pos", [("margin", {"by": "", "margin": 0.05}), ("top", {"k": 4})]),
        ("perc-pos", [("percent_of_positive", {"by": "", "share": 0.95}), ("top", {"k": 4})]),
        ("star", [("mixture", {"k": 4, "seed": 13, "random_ratio": 0.5, "hard": "uniform"})]),
        ("random", [("uniform", {"k": 4, "seed": 13})]),
        (
            "nv-retriever",
            [("percent_of_positive", {"by": "", "share": 0.95}), ("window", {"k": 4, "seed": 13, "size": 10})],
        ),
        ("simans", [("simans", {"k": 4, "seed": 13, "by": "", **SIMANS})]),
        ("gistembed", [("margin", {"by": "guide", "margin": 0.0}), ("top", {"k": 4})]),
        (
            "rocketqa",
            [
                ("rank_window", {"by": "", "first": 1, "last": 50, "over": "raw"}),
                ("pseudo_positive", {"by": "relevance", "threshold": 0.9}),
                ("denoise", {"by": "relevance", "threshold": 0.1}),
                ("top", {"k": 4}),
            ],
        ),
        (
            "rlhn",
            [
                ("relabel_above_positive", {"by": "relevance", "margin": 0.0, "least": 0.5}),
                ("margin", {"by": "relevance", "margin": 0.0}),
                ("top", {"k": 4}),
            ],
        ),
    ],
)
def test_shipped_recipes_have_the_papers_numbers(name, rest):
    bound = bind(miners=("dense", "random", "geo", "relation", *TAUGHT.values()), name=name)
    assert [(step.rule.name, step.params.model_dump()) for step in bound.rules[4:]] == rest


def test_reports_of_the_own_event_go_before_duplicates_are_looked_for():
    """Else the one report of an older event that says the same goes, and then the one of the own event."""
    found = names(bind(miners=("dense", "event"), name="event-driven"))
    assert found[2:] == ["stale_event", "positive_duplicate", "duplicate", "stale_first"]


def test_the_nearest_in_space_are_taken_by_that_miner_whatever_comes_first():
    own, last = bind(miners=("dense", "geo"), name="sample4geo").rules[-2:]
    assert (own.rule.name, own.params.by, own.params.over, own.params.last) == ("rank_window", "geo", "raw", 128)
    assert (last.rule.name, last.params.miners) == ("ensemble", "geo")
    with pytest.raises(IncompatibleRuleError, match=r"add 'geo' to mine\.miners"):
        bind(name="sample4geo")


def test_what_people_and_models_say_comes_before_the_scores():
    """A pair that people do not agree on must not be relabelled, nor one that a judge is unsure of be a negative."""
    miners = ("dense", "judge", "votes", "vote_agreement")
    assert names(bind(miners=miners, name="reviewed"))[4:7] == [
        "ambiguous_votes",
        "pseudo_positive",
        "percent_of_positive",
    ]
    judged = bind(miners=miners, name="llm-judge").rules[4:]
    assert [step.params.model_dump()["threshold"] for step in judged[:2]] == [0.9, 0.4]


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_asks_the_teacher_it_is_named_for_and_no_other(name):
    bound = bind(miners=("dense", "random", "geo", "relation", *TAUGHT.values()), name=name)
    asked = {teacher for teacher in TAUGHT.values() if f"score_{teacher}" in needs(bound)}
    assert asked == ({TAUGHT[name]} if name in TAUGHT else set())


def test_mandatory_rules_come_first_even_if_a_recipe_lacks_them(tmp_path):
    path = written(tmp_path, '[[rules]]\nname = "margin"\n[[rules]]\nname = "top"\n')
    assert names(bind(name=path)) == ["known_positive", "own_text", "margin", "top"]


def test_negatives_and_options_override_the_recipe():
    bound = bind(name="perc-pos", negatives=7, options={"percent_of_positive": {"share": 0.8}})
    assert bound.wanted == 7
    assert bound.rules[4].params.model_dump() == {"by": "", "share": 0.8}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "perc_pos"}, r"unknown recipe 'perc_pos' \(did you mean 'perc-pos'\?\); shipped: abs, "),
        ({"name": "no/such.toml"}, r"cannot read recipe file no/such\.toml"),
        ({"options": {"percent": {"share": 0.8}}}, r"options for rule 'percent'.*recipe 'perc-pos' has known_positive"),
        (
            {"options": {"percent_of_positive": {"shar": 0.8}}},
            r"unknown option 'shar' \(did you mean 'share'\?\); it takes by, share",
        ),
        ({"options": {"percent_of_positive": {"share": 1.8}}}, r"rule 'percent_of_positive': option share is 1\.8"),
        ({"options": {"top": {"k": "many"}}}, r"rule 'top': option k is 'many'"),
        ({"options": {"known_positive": {"off": True}}}, r"unknown option 'off'; it takes none"),
        ({"name": "star", "options": {"mixture": {"seed": 1}}}, r"unknown option 'seed'"),
        ({"by": "bm25"}, r"recipe\.by is 'bm25'.*mine\.miners: dense, random"),
    ],
)
def test_wrong_requests_are_named(config, message):
    with pytest.raises(ConfigError, match=message):
        bind(**config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rules]\n", r"is no TOML: .*line 1"),
        ("descripton = 'x'\n[[rules]]\nname = 'top'\n", r"unknown key 'descripton' \(did you mean 'description'\?\)"),
        ("description = 'x'\n", "has no rules"),
        ("rules = ['top']\n", "has no rules"),
        ("[[rules]]\nk = 3\n", r"lacks its name; it has k"),
        ("[[rules]]\nname = 'margin'\n", r"must end in its one sampler \(one of ensemble, mixture, .*top"),
        ("[[rules]]\nname = 'top'\n[[rules]]\nname = 'margin'\n", "must end in its one sampler"),
        ("[[rules]]\nname = 'top'\n[[rules]]\nname = 'uniform'\n", "must end in its one sampler"),
    ],
)
def test_wrong_files_are_named(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        bind(name=written(tmp_path, text))


def test_negatives_without_a_sampler(tmp_path):
    with pytest.raises(ConfigError, match="must end in its one sampler"):
        bind(name=written(tmp_path, "[[rules]]\nname = 'margin'\n"), negatives=3)


def test_an_unknown_rule_in_a_file(tmp_path):
    with pytest.raises(UnknownRuleError, match="did you mean 'uniform'"):
        bind(name=written(tmp_path, "[[rules]]\nname = 'unifrom'\n"))


def test_options_of_a_rule_that_stands_twice_are_ambiguous(tmp_path):
    twice = "[[rules]]\nname = 'margin'\n[[rules]]\nname = 'margin'\nby = 'bm25'\n[[rules]]\nname = 'top'\n"
    path = written(tmp_path, twice)
    assert names(bind(miners=("dense", "bm25"), name=path))[2:] == ["margin", "margin", "top"]
    with pytest.raises(ConfigError, match="more than once"):
        bind(miners=("dense", "bm25"), name=path, options={"margin": {"margin": 0.1}})


@pytest.mark.parametrize(
    ("miners", "config", "message"),
    [
        (("dense",), {"name": "star"}, r"'mixture' needs column 'rank_random'.*add 'random' to mine\.miners"),
        (("random",), {"name": "naive"}, r"'top' needs column 'score'.*add a miner that gives scores"),
        (
            ("dense",),
            {"options": {"percent_of_positive": {"by": "bm25"}}},
            r"needs column 'score_bm25', which miners dense do not give; add 'bm25' to mine\.miners",
        ),
    ],
)
def test_a_rule_without_its_column_says_what_to_add(miners, config, message):
    with pytest.raises(IncompatibleRuleError, match=message):
        bind(miners=miners, **config)


def test_a_scorer_provides_its_columns_to_the_rules_after_it(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    rule("oracle", kind="scorer", params=Params)(lambda candidates, params: candidates)
    parts = {"oracle": "[[rules]]\nname = 'oracle'\n", "margin": "[[rules]]\nname = 'margin'\nby = 'oracle'\n"}
    end = "[[rules]]\nname = 'top'\n"
    assert "oracle" in names(bind(name=written(tmp_path, parts["oracle"] + parts["margin"] + end)))
    with pytest.raises(IncompatibleRuleError, match="put the scorer 'oracle' before it"):
        bind(name=written(tmp_path, parts["margin"] + parts["oracle"] + end))


def test_random_negatives_need_no_score():
    assert bind(miners=("random",), name="random").by == "random"


def test_the_basis_is_the_first_miner_with_scores():
    assert basis_miner("", ["random", "bm25", "dense"]) == "bm25"
    assert basis_miner("dense", ["random", "bm25", "dense"]) == "dense"


def test_fingerprints_follow_what_is_computed_and_nothing_else(tmp_path):
    usual = recipe_fingerprint(bind())
    assert usual == recipe_fingerprint(bind(seed=99))  # top draws no lots
    assert usual == recipe_fingerprint(bind(options={"percent_of_positive": {"share": 0.95}}))
    rules = "".join(f"[[rules]]\nname = '{name}'\n" for name in ("percent_of_positive", "top"))
    unguarded = recipe_fingerprint(bind(name=written(tmp_path, rules)))
    others = [
        recipe_fingerprint(bind(negatives=5)),
        recipe_fingerprint(bind(options={"percent_of_positive": {"share": 0.9}})),
        recipe_fingerprint(bind(miners=("bm25", "dense"))),
        recipe_fingerprint(bind(name="star")),
        recipe_fingerprint(bind(name="star", seed=14)),
        unguarded,
    ]
    assert len({usual, *others}) == 7


def test_a_rules_version_is_in_the_fingerprint(monkeypatch):
    before = recipe_fingerprint(bind())
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    top = registry.find_rule("top")
    rule("top", kind="sampler", params=top.params, needs=top.needs, version=top.version + 1)(top.apply)
    assert recipe_fingerprint(bind()) != before


def test_rules_are_listed_with_their_options():
    cards = {card.name: card for card in list_rules()}
    margin = cards["margin"]
    assert margin.kind == "filter"
    assert margin.summary.startswith("Reject a candidate less than `margin` below the positive")
    assert [(option.name, option.default) for option in margin.options] == [("by", ""), ("margin", 0.05)]
    assert all(option.name != "seed" for card in cards.values() for option in card.options)


def test_the_teacher_of_a_recipe_can_be_another_one():
    bound = bind_recipe(load_recipe(RecipeConfig(name="rocketqa", teacher="cross_encoder")), ["dense"], 1)
    assert bound.teachers == ("cross_encoder",)
    assert {step.params.by for step in bound.rules if step.rule.name in ("denoise", "pseudo_positive")} == {
        "cross_encoder"
    }
    with pytest.raises(ConfigError, match=r"no teacher 'cross_encodr' .did you mean 'cross_encoder'"):
        load_recipe(RecipeConfig(name="rocketqa", teacher="cross_encodr"))
    with pytest.raises(ConfigError, match="asks no teacher"):
        load_recipe(RecipeConfig(name="naive", teacher="guide"))
