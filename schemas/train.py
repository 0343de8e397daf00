"""The section of a training run: what is trained, by which loss and batches, how long, and on what."""

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from schemas.run_report import RunReportConfig
from schemas.section import Section

SHUFFLED: Final = "shuffled"
"""The plan that needs no table: every query once an epoch, in a random order."""


def usual_epochs(model: str) -> int:
    """Give the epochs that a `model` of its kind is trained for where none are asked for."""
    return 5 if model == "static" else 1


class TrainConfig(Section):
    """How an encoder is trained on a set."""

    model: str = "static"
    """`static` (a bag of embeddings started from LSA of the corpus) or a sentence-transformers name or folder."""
    seed: int = 13
    split: str = "train"
    held_out: str = "test"
    """Split whose queries measure the encoder before and after."""
    epochs: int = Field(0, ge=0)
    """Times each query is trained on; 0 takes the model kind's own (static 5, others 1)."""
    batch_size: int = Field(128, ge=2)
    mini_batch: int = Field(0, ge=0)
    """Texts embedded at once, 0 for all of a batch. Any batch then fits, at the cost of embedding its texts twice."""
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients make one step; unlike `mini_batch`, no batch sees the negatives of another."""
    learning_rate: float = Field(0.0, ge=0)
    """Peak learning rate; 0 takes the model kind's own (static 5e-3, others 2e-5)."""
    optimizer: Literal["adamw", "sophia"] = "adamw"
    """What moves the parameters. Of `static`, adamw is Adam without decay, for the words of a batch alone."""
    memory_rate: float = Field(0.0, ge=0)
    """Peak learning rate of what a loss learns beside the encoder, such as class vectors; 0 takes the encoder's."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of a transformer's products; `auto` is bfloat16 on CUDA, float32 elsewhere. Weights are float32."""
    gradient_checkpointing: bool = Field(False, json_schema_extra={"runtime": True})
    """Whether a transformer's activations are computed again instead of kept: less memory, a third more time."""
    compile: bool = False
    """Whether a transformer is compiled (torch.compile): minutes at the start, faster steps on a GPU."""
    temperature: float = Field(0.05, gt=0)
    loss: str = "info_nce"
    """Name of a loss; `negset losses` lists them."""
    loss_options: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Options of the loss that differ from its own."""
    guide: str = ""
    """Second encoder that a loss asks about the texts of a batch: `lsa`, or a sentence-transformers name or folder."""
    teacher: str = ""
    """Whose scores of the set a loss learns from: a name in the `scores` of its tables."""
    plan: str = SHUFFLED
    """Which queries share a batch: `shuffled`, or another plan that `negset batches` lists."""
    plan_options: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Options of the plan that differ from its own."""
    plan_refresh: int = Field(0, ge=0, json_schema_extra={"neutral": True})
    """Epochs after which the plan is made anew, each time from the vectors of the model as it is then; 0 for never."""
    negatives: int = Field(0, ge=0)
    """Hard negatives used for each query; 0 for all that the set has."""
    in_batch: bool = True
    """Whether the other queries' positives and negatives count as negatives too, known positives left out."""
    remine: Literal["", "epoch"] = ""
    """`epoch`: at the start of each epoch the model itself finds the hard negatives anew, among the documents of the
    set; empty to train on those of the set throughout."""
    remine_depth: int = Field(100, ge=1)
    """First ranks of each query that `remine` takes negatives from, known positives left out."""
    remine_share: float = Field(0.0, ge=0, le=1)
    """Highest share of the lowest positive's score that a negative found by `remine` may have; 0 for no limit."""
    candidates: Literal["batch", "all"] = "batch"
    """`all` compares each query with every document of the run at each step: for small label spaces."""
    mask_suspects: bool = False
    """Whether what a rule of the recipe suspects to be relevant (`false_negatives`) is left out of a batch too."""
    dimensions: int = Field(256, ge=2)
    """Width of the vectors of `static`; a model of sentence-transformers knows its own."""
    max_length: int = Field(256, ge=1)
    """Tokens after which a model of sentence-transformers cuts a text; `static` reads all."""
    query_prompt: str = ""
    """Put before each query; empty for the model's own."""
    document_prompt: str = ""
    processes: int = Field(1, ge=1)
    """Processes that share each batch, a GPU for each where there are GPUs: all see the negatives of all."""
    device: str = Field("auto", json_schema_extra={"runtime": True})
    """Where a model of sentence-transformers is trained; `static` trains on the CPU."""
    checkpoint_every: int = Field(200, ge=1, json_schema_extra={"runtime": True})
    keep_checkpoints: int = Field(2, ge=1, json_schema_extra={"runtime": True})
    """Checkpoints kept: where the newest is damaged, the one before it is used."""
    tensorboard: bool = Field(False, json_schema_extra={"runtime": True})
    """Whether figures of each step are written as TensorBoard files too; needs `pip install negset[tensorboard]`."""
    report: RunReportConfig = Field(RunReportConfig(), json_schema_extra={"runtime": True})
    """What the run's page shows and which falls of a domain fail it; never the model."""

    @model_validator(mode="after")
    def _all_are_negatives(self) -> Self:
        if self.candidates == "all" and not self.in_batch:
            message = 'candidates = "all" compares with every document, in_batch = false with a query\'s own negatives'
            raise ValueError(message)
        return self
