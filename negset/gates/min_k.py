"""Min-K%: whether a language model has probably seen a text in training (Shi et al. 2024).

A text that was seen has few very improbable tokens. The mean of the lowest log-probabilities tells texts apart that
have the same perplexity. No build calls this, since a build has no language model: it is for those who have the
log-probabilities of their evaluation texts and ask whether the model they start from knows them.
"""

import math
from collections.abc import Sequence

from negset.errors import InputError


def min_k_score(log_probs: Sequence[float], share: float = 0.2) -> float:
    """Give minus the mean of the lowest `share` of `log_probs`: the lower, the more likely the text was seen.

    `log_probs` are natural logarithms of each token given those before it, that of the first token left out. At least
    one counts, so that a short text has a score. Raises InputError for none, for a share outside (0, 1], and for a
    number that is no log-probability.
    """
    if not 0 < share <= 1:
        message = f"the share of tokens is {share!r}; it must be above 0 and at most 1"
        raise InputError(message)
    wrong = [value for value in log_probs if not value <= 0 or math.isinf(value)]
    if wrong or not log_probs:
        what = f"{wrong[0]!r} is no log-probability" if wrong else "there are no log-probabilities"
        message = f"cannot score a text: {what}; give finite natural logarithms of probabilities, one for each token"
        raise InputError(message)
    lowest = sorted(log_probs)[: max(1, math.floor(len(log_probs) * share + 1e-9))]
    return -math.fsum(lowest) / len(lowest)
