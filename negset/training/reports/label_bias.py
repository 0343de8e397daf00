"""What is said of a run's loss over few negatives, beside that over all of its documents."""

from pydantic import BaseModel


class LabelBiasFigures(BaseModel):
    """What metrics.json says of the trained model; see `negset.training.label_bias`."""

    queries: int
    documents: int
    exact: float
    sampled: float
    corrected: float


def describe_label_bias(found: LabelBiasFigures) -> str:
    """Say in a sentence what the loss hides."""
    return (
        f"{found.exact:.4f} where a query's positive competes with all {found.documents:,} documents of the run, "
        f"{found.sampled:.4f} with the query's own negatives alone (mean of {found.queries:,} queries trained on)"
    )


def explain_label_bias(found: LabelBiasFigures) -> str:
    """Say what follows: few negatives flatter any model, and these are harder or easier than documents at large."""
    kind = "harder" if found.corrected > found.exact else "easier"
    return (
        "The fewer the negatives, the smaller the loss, however good the model is: compare losses over the same number "
        "of them only. If the negatives were drawn evenly from the documents, they would stand for a loss of "
        f"{found.corrected:.4f} over all; they are {kind} than the documents at large. Whatever loss was trained, this "
        "is the softmax at the run's temperature, by the trained model."
    )
