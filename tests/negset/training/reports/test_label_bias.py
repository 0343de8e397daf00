from negset.training.reports.label_bias import LabelBiasFigures, describe_label_bias, explain_label_bias

FOUND = LabelBiasFigures(queries=60, documents=1412, exact=2.5, sampled=0.25, corrected=3.0)


def test_both_losses_are_told_apart():
    said = describe_label_bias(FOUND)
    assert said.startswith("2.5000 where a query's positive competes with all 1,412 documents")
    assert "0.2500 with the query's own negatives alone (mean of 60 queries" in said


def test_negatives_are_harder_where_the_corrected_loss_is_too_large():
    assert "a loss of 3.0000 over all; they are harder" in explain_label_bias(FOUND)
    assert "they are easier" in explain_label_bias(FOUND.model_copy(update={"corrected": 2.0}))
