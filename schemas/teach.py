"""Configuration of teachers: what scores pairs beyond the miners. A section is read only where a recipe asks for it."""

from typing import Literal

from pydantic import Field

from schemas.encoder import EncoderConfig
from schemas.section import Section


class GuideConfig(Section):
    """An encoder whose cosine judges what the miners proposed, better than the one that mines."""

    encoder: EncoderConfig = EncoderConfig(dimensions=512)
    """The guide, with the options of `[encoder]`."""
    depth: int = Field(0, ge=0)
    """First ranks of each miner that are scored; 0 for all."""


class RelevanceConfig(Section):
    """A small scorer that is fitted on the labels, for each query on those of other queries."""

    depth: int = Field(0, ge=0)
    """First ranks of each miner that are scored; 0 for all."""
    folds: int = Field(5, ge=2)
    """Parts that the queries are dealt into; each is scored by the model of the others."""
    random: int = Field(8, ge=0)
    """Random documents for each labelled query that count as irrelevant."""
    candidates: int = Field(16, ge=0)
    """Candidates drawn for each labelled query that count as irrelevant, unlabelled positives among them."""
    prior: float = Field(0.1, gt=0, lt=1)
    """Share of the candidates that is taken to be relevant; moves all scores, never their order within a fold."""


class YesNoConfig(Section):
    """Two heads, "it matches" and "it does not", fitted on the labels: for each query on those of other queries."""

    depth: int = Field(0, ge=0)
    """First ranks of each miner that are scored; 0 for all."""
    folds: int = Field(5, ge=2)
    """Parts that the queries are dealt into; each is scored by the heads of the others."""
    others: int = Field(8, ge=0)
    """Documents labelled for other queries that each labelled query says no to."""
    candidates: int = Field(16, ge=0)
    """Candidates drawn for each labelled query that it says no to, unlabelled positives among them."""


class SelectionConfig(Section):
    """A scorer of how likely annotators saw a pair, learned together with relevance (CET)."""

    depth: int = Field(0, ge=0)
    """First ranks of each miner that are scored; 0 for all."""
    folds: int = Field(5, ge=2)
    """Parts that the queries are dealt into; each is scored by the model of the others."""
    candidates: int = Field(8, ge=1)
    """Unlabelled candidates drawn for each labelled query; each stands beside each of its positives."""
    smoothing: float = Field(2.0, gt=0)
    """Lambda of the coupled losses: the two scores are divided by it before they become weights."""
    passes: int = Field(5, ge=0)
    """Turns in which relevance and selection are fitted again under each other's weights."""


class CrossEncoderConfig(Section):
    """A model of sentence-transformers that reads query and document at once."""

    model: str = ""
    """Name or folder of a cross-encoder with one output. Its files are what counts, not where they lie."""
    revision: str = ""
    """Commit, tag or branch of a model read by name."""
    depth: int = Field(50, ge=0)
    """First ranks of each miner that are scored; 0 for all."""
    activation: Literal["sigmoid", "none"] = "sigmoid"
    """`sigmoid` for scores from 0 to 1, `none` for the model's bare output."""
    max_length: int = Field(512, ge=1)
    """Tokens after which query and document together are cut."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision that the model computes in."""
    batch_size: int = Field(32, ge=1, json_schema_extra={"runtime": True})
    """Pairs that the model is given at once."""
    shard_size: int = Field(1024, ge=1, json_schema_extra={"runtime": True})
    """Pairs that are kept at once; a kill loses at most so many."""
    device: str = Field("auto", json_schema_extra={"runtime": True})
    """Where the model runs: `auto`, `cpu`, `cuda`, …"""


class JudgeConfig(Section):
    """A language model behind an HTTP service in the shape of OpenAI's chat API."""

    url: str = ""
    """Base URL of the service, such as `http://localhost:11434/v1`."""
    model: str = ""
    """Name of the model there."""
    revision: str = ""
    """What names the state of the model; another word has everything judged anew."""
    api_key_env: str = ""
    """Name of the environment variable that holds the API key. The key itself never stands in a config."""
    depth: int = Field(10, ge=0)
    """First ranks of each miner that are judged; 0 for all."""
    max_pairs: int = Field(10_000, ge=1, json_schema_extra={"runtime": True})
    """Pairs that one build may have judged, those judged before left aside; with more, none is."""
    criterion: str = "A document is relevant if it answers the query, or says what the query asks for."
    """When a document is relevant, in a sentence or two."""
    answers: Literal["words", "grades"] = "words"
    """`words` asks for yes (1), unsure (.5) or no (0); `grades` for a digit from 0 to 3, whose third is the score."""
    votes: int = Field(1, ge=1, le=99)
    """How often each pair is asked; the score is the mean of the answers."""
    temperature: float = Field(0.0, ge=0, le=2)
    """Temperature of the model; above 0 where there are several votes."""
    max_chars: int = Field(4000, ge=1)
    """Characters after which a document is cut."""
    max_tokens: int = Field(16, ge=0)
    """Tokens that an answer may have; 0 leaves it to the service."""
    concurrency: int = Field(4, ge=1, le=256, json_schema_extra={"runtime": True})
    """Requests under way at once."""
    shard_size: int = Field(64, ge=1, json_schema_extra={"runtime": True})
    """Pairs that are kept at once; a kill loses at most so many."""


class VotesConfig(Section):
    """A file of people's votes on pairs, as `negset audit` writes it."""

    path: str = ""
    """CSV or Parquet with `query_id`, `doc_id`, `vote` (yes, no, unsure or a number from 0 to 1) and `rater`."""
    min_votes: int = Field(1, ge=1)
    """Votes that a pair needs before people can be said to agree on it (`vote_agreement`)."""


class PrototypeConfig(Section):
    """Clusters of the documents' vectors: what shares the cluster of a positive may say the same."""

    clusters: int = Field(0, ge=0)
    """How many; 0 for a tenth of the documents, at most 4,096."""
    query: Literal["positives", "own", "translated"] = "positives"
    """Whose clusters count: those of the query's positives; the one nearest to the query too; or the one whose
    queries are nearest to it, by the clusters of their positives (for encoders that keep queries and documents apart).
    """
    sample: int = Field(65_536, ge=1)
    """Documents that the clusters are fitted on, drawn by lot; all documents are put into them."""
    attempts: int = Field(5, ge=1)
    """Fits, of which the best stays."""
    rounds: int = Field(20, ge=1)
    """Rounds of one fit, at the most."""
    depth: int = Field(0, ge=0)
    """First ranks of each miner that are scored; 0 for all."""


class NeighboursConfig(Section):
    """Labelled neighbours of a document: which share of them are positives of the query."""

    k: int = Field(20, ge=1)
    """Neighbours asked, the document itself never among them."""
    temperature: float = Field(0.1, gt=0, allow_inf_nan=False)
    """A neighbour counts exp(cosine / temperature)."""
    depth: int = Field(0, ge=0)
    """First ranks of each miner that are scored; 0 for all."""


class AdapterConfig(Section):
    """A linear map of the miner's vectors, fitted on the labels: for each query on those of other queries."""

    folds: int = Field(5, ge=2)
    """Parts that the queries are dealt into; each is scored by the map of the others. Queries that share a text or a
    positive stay in one part."""
    epochs: int = Field(4, ge=1)
    """Times that each query is learned from."""
    batch_size: int = Field(128, ge=2)
    """Queries whose positives count as each other's negatives."""
    learning_rate: float = Field(5e-4, gt=0)
    """Rate of Adam."""
    temperature: float = Field(0.05, gt=0)
    """What cosines are divided by in the loss."""
    negatives: int = Field(4, ge=0)
    """Hardest candidates of each query that it learns from, beside the other queries' positives."""
    share: float = Field(0.95, gt=0)
    """A candidate above this share of the cosine of the query's lowest positive is not learned from."""
    depth: int = Field(0, ge=0)
    """First ranks of each miner that are scored; 0 for all."""


class EventConfig(Section):
    """What event a document and a query are about, and how far apart in time is another event."""

    key: str = ""
    """Column of the corpus and of the queries that names the event's subject: a place, a product, a page."""
    window: str = Field("30d", pattern=r"^[0-9]+[smhdw]$")
    """How far apart `created_at` and `asked_at` of one event may be: a number and s, m, h, d or w."""


class HopsConfig(Section):
    """The graph of labels: what is a positive of a positive."""

    depth: int = Field(0, ge=0)
    """First ranks of each miner that are scored; 0 for all."""


class TeachConfig(Section):
    """Teachers, a section each."""

    guide: GuideConfig = GuideConfig()
    relevance: RelevanceConfig = RelevanceConfig()
    yes_no: YesNoConfig = YesNoConfig()
    selection: SelectionConfig = SelectionConfig()
    cross_encoder: CrossEncoderConfig = CrossEncoderConfig()
    judge: JudgeConfig = JudgeConfig()
    votes: VotesConfig = VotesConfig()
    prototype: PrototypeConfig = PrototypeConfig()
    neighbours: NeighboursConfig = NeighboursConfig()
    adapter: AdapterConfig = AdapterConfig()
    event: EventConfig = EventConfig()
    hops: HopsConfig = HopsConfig()

    @property
    def vote_agreement(self) -> VotesConfig:
        """Options of the teacher `vote_agreement`, which reads the same file as `votes`."""
        return self.votes
