"""Names for the arrays that travel between modules. Dimensions are in the names of variables: `scores_QK`."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
"""Vectors, one in each row."""
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
"""Row numbers, or counts of rows."""
