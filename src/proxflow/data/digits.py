"""scikit-learn's 1797 handwritten digits, 8 x 8 pixels of 0 to 16, split into parts that share no sample.

    shuffled digits = train | fresh | test | not used

`train` is what a flow sees, `test` judges its samples, and `fresh`, real and as many as `test`, shows what a
perfect sampler would score by the same judge. Bad at: size; writers occur in several parts, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from proxflow.validation import check_positive, seed_from

__all__ = ["DigitsSplit", "load_digits_split"]


@dataclass(frozen=True, eq=False)
class DigitsSplit:
    """Three disjoint parts of the digits.

    Attributes
    ----------
    train, fresh, test
        Float64 arrays of shape (n, 64), one flattened image per row.
    shape
        One image's height and width.
    low, high
        The range of a pixel: paper and ink.
    """

    train: npt.NDArray[np.float64]
    fresh: npt.NDArray[np.float64]
    test: npt.NDArray[np.float64]
    shape: tuple[int, int] = (8, 8)
    low: float = 0.0
    high: float = 16.0


def load_digits_split(
    n_train: int = 200, n_test: int = 600, random_state: int | np.random.RandomState = 0
) -> DigitsSplit:
    """Shuffle the digits and return n_train, n_test (as `fresh`) and again n_test (as `test`) of them.

    Raises
    ------
    ValueError
        A count is not positive, or n_train + 2 n_test exceeds 1797.

    Examples
    --------
    >>> split = load_digits_split(n_train=100, n_test=50)
    >>> split.train.shape, split.fresh.shape, split.test.shape
    ((100, 64), (50, 64), (50, 64))
    """
    from sklearn.datasets import load_digits

    check_positive(n_train, "n_train", integer=True)
    check_positive(n_test, "n_test", integer=True)
    images = load_digits().data
    needed = n_train + 2 * n_test
    if needed > len(images):
        raise ValueError(f"n_train + 2 n_test = {needed}, but there are only {len(images)} digits: ask for fewer.")
    shuffled = np.random.default_rng(seed_from(random_state)).permutation(images)
    train, fresh, test, _ = np.split(shuffled, np.cumsum([n_train, n_test, n_test]))
    return DigitsSplit(train, fresh, test)
