"""Checks at the door: every error names the place, the number and the way out.

A cloud is a float array of shape (n, d): n samples of d features. Everything public passes through here
before any mathematics starts, in Python and on the command line alike, so both say the same words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "check_choice",
    "check_cloud",
    "check_gap",
    "check_inside",
    "check_positive",
    "check_same_width",
    "check_slope",
    "check_two_dimensional",
    "column_names",
    "in_order_of",
    "kept_dtype",
    "read_points",
    "seed_from",
]

# Beyond this a float32 square overflows, and squared distances are everywhere.
_LARGEST = 1e18


def check_cloud(
    points: Any, name: str = "the data", *, columns: Sequence[str] | None = None, minimum: int = 2
) -> npt.NDArray[np.float64]:
    """Return points as a finite float64 array of shape (n, d), or say what is wrong and where.

    Parameters
    ----------
    points
        Anything NumPy can read as an array of shape (n, d); shape (n,) becomes (n, 1).
    name
        What the points are called in an error, such as a file's name.
    columns
        Names of the d features, used in errors.
    minimum
        The smallest number of samples that makes sense.

    Raises
    ------
    TypeError
        Objects that are no numbers.
    ValueError
        Text, complex or sparse values, NaN or inf (row and column named), values whose squares overflow,
        zero features, too few samples, or more than two dimensions.

    Examples
    --------
    >>> check_cloud([[0.0, 1.0], [2.0, float("nan")]], "a.csv", columns=["age", "height"])
    Traceback (most recent call last):
        ...
    ValueError: a.csv: NaN in row 1, column 'height' (rows count from 0; 1 such value). Drop or impute it.
    """
    if hasattr(points, "toarray"):
        raise ValueError(f"{name}: sparse input is not supported; pass its dense form, .toarray().")
    if np.ma.is_masked(points):
        raise ValueError(f"{name}: masked values. Drop or impute them; a mask would be lost.")
    try:
        array = np.asarray(points)
        if array.dtype.kind in "USMm":
            raise ValueError(f"its values are {'text' if array.dtype.kind in 'US' else 'dates'}")
        if array.dtype.kind == "c":
            raise ValueError("Complex data not supported")
        array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        refusal = TypeError if isinstance(error, TypeError) else ValueError
        raise refusal(f"{name}: not an array of numbers ({error}).") from None
    if array.ndim == 1 and array.size > 0:
        array = array[:, None]
    if array.ndim != 2:
        raise ValueError(
            f"{name}: expected shape (samples, features), got {array.shape}. Flatten each sample to one row."
        )
    rows, width = array.shape
    if rows == 0:
        raise ValueError(f"{name}: no samples (shape {array.shape}).")
    if width == 0:
        raise ValueError(f"{name}: no features; 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    if rows < minimum:
        raise ValueError(f"{name}: {rows} sample{'s' * (rows != 1)}, but at least {minimum} are needed.")
    bad = ~np.isfinite(array)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        kind = "NaN" if np.isnan(array[row, column]) else "infinity"
        place = f"row {row}, column {_column(column, columns)}"
        count = int(bad.sum())
        raise ValueError(
            f"{name}: {kind} in {place} (rows count from 0; {count} such value{'s' * (count != 1)}). Drop or impute it."
        )
    large = np.abs(array) > _LARGEST
    if large.any():
        row, column = (int(i) for i in np.argwhere(large)[0])
        raise ValueError(
            f"{name}: {array[row, column]:.3g} in row {row}, column {_column(column, columns)} "
            f"is beyond {_LARGEST:.0e}; its square overflows. Rescale the column."
        )
    return array


def _column(index: int, columns: Sequence[str] | None) -> str:
    return str(index) if columns is None else repr(str(columns[index]))


def check_two_dimensional(points: Any, name: str) -> None:
    """Raise ValueError, in scikit-learn's words, for an array of one dimension."""
    if not hasattr(points, "columns") and not hasattr(points, "toarray") and np.asarray(points).ndim == 1:
        raise ValueError(
            f"{name}: expected 2D array, got 1D array instead. Reshape your data with .reshape(-1, 1) if it has"
            " one feature, or .reshape(1, -1) if it is one sample."
        )


def check_inside(points: npt.NDArray, bounds: tuple[float, float] | None) -> None:
    """Raise ValueError if values of the points lie outside of these bounds, where no particle may follow."""
    if bounds is None:
        return
    low, high = bounds
    rounding = 1e-6 * (high - low)
    outside = (points < low - rounding) | (points > high + rounding)
    if outside.any():
        raise ValueError(
            f"bounds = ({low:g}, {high:g}), but the target goes from {points.min():.3g} to {points.max():.3g}"
            f" ({outside.mean():.1%} of its values are outside). Give its own range, or rescale it."
        )


def check_same_width(x: npt.NDArray, y: npt.NDArray, x_name: str, y_name: str) -> None:
    """Raise ValueError unless both clouds have the same number of features."""
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"{x_name} has {x.shape[1]} features and {y_name} has {y.shape[1]}: "
            "they must be samples of the same features, in the same order."
        )


def check_positive(value: Any, name: str, *, integer: bool = False, infinite: bool = False) -> None:
    """Raise ValueError unless value is a positive (whole) number; infinity only if allowed."""
    kind = "whole number" if integer else "number"
    numeric = isinstance(value, (int, np.integer)) or (not integer and isinstance(value, (float, np.floating)))
    if isinstance(value, bool) or not numeric:
        raise ValueError(f"{name} must be a positive {kind}, got {value!r}.")
    if not value > 0 or (math.isinf(value) and not infinite):
        raise ValueError(f"{name} must be a positive {'' if infinite or integer else 'finite '}{kind}, got {value!r}.")


def check_slope(value: Any) -> None:
    """Raise ValueError unless value can be a Lipschitz constant L: positive, inf or within float32's reach."""
    check_positive(value, "L", infinite=True)
    if not (1e-15 <= value <= 1e15 or math.isinf(value)):
        raise ValueError(f"L must be between 1e-15 and 1e15, or inf, got {value!r}. Use another unit for the data.")


def check_gap(value: Any) -> None:
    """Raise ValueError unless value can be a relative gap between two bounds: between 0 and 1."""
    check_positive(value, "gap")
    if value >= 1:
        raise ValueError(f"gap must be below 1: it is a share of the value, such as 1e-4; got {value!r}.")


def check_choice(value: Any, name: str, choices: Sequence[str]) -> None:
    """Raise ValueError, listing what there is, unless value is one of the choices."""
    if value not in choices:
        raise ValueError(f"unknown {name} {value!r}: choose one of {', '.join(map(str, choices))}.")


def seed_from(random_state: int | np.random.RandomState | None) -> int:
    """Return the seed a scikit-learn random_state stands for: itself, or a draw from it."""
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        if not 0 <= random_state < 2**32:
            raise ValueError(f"random_state must be between 0 and 2**32 - 1, got {random_state}.")
        return int(random_state)
    from sklearn.utils import check_random_state

    return int(check_random_state(random_state).randint(2**31 - 1))


def column_names(points: Any) -> list[str] | None:
    """Return the names of a frame's columns, None for anything without."""
    columns = getattr(points, "columns", None)
    return None if columns is None else [str(c) for c in columns]


def in_order_of(x: Any, y: Any, names: tuple[str, str] = ("x", "y")) -> Any:
    """Return y with its columns in x's order if both are frames; ValueError if they are named differently."""
    first, second = column_names(x), column_names(y)
    if first is None or second is None or first == second:
        return y
    numbered = [str(i) for i in range(len(second))]
    if numbered in (first, second):  # pandas' own numbering is no name
        return y
    if sorted(first) != sorted(second):
        odd = sorted(set(first) ^ set(second))[:5]
        raise ValueError(
            f"{names[0]} and {names[1]} have different columns (such as {', '.join(map(repr, odd))}). Rename or choose."
        )
    return y.iloc[:, [second.index(name) for name in first]]


def read_points(estimator: Any, points: Any, name: str, *, reset: bool, minimum: int = 2) -> np.ndarray:
    """Points (n, d) given to an estimator, checked; reset: their columns are those that it knows from now on.

    Raises
    ------
    ValueError
        Bad points (the place is named), or columns other than those of the fit.
    """
    from sklearn.utils.validation import validate_data

    samples = check_cloud(points, name, columns=column_names(points), minimum=minimum)
    check_two_dimensional(points, name)
    validate_data(estimator, points, reset=reset, skip_check_array=True)
    return samples


def kept_dtype(points: Any) -> Any:
    """Of what is made from points: float32 for float32, else float64."""
    return np.float32 if getattr(points, "dtype", None) == np.float32 else np.float64
