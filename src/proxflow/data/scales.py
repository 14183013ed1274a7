"""Which scale values are on: counts, linear intensities, or logarithms.

    linear:  q99 > 100, or (max - min > 50 and q25 > 0)         as GEO2R decides whether to take log2
    counts:  only whole numbers, none negative, max > 30, zeros among them

Source: the R script that GEO2R shows, www.ncbi.nlm.nih.gov/geo/geo2r (an older one had a third rule, on ratios).
Bad at: logarithms to other bases, and whatever was scaled afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Scale", "scale_of"]

_ZEROS = 0.01  # logged data have hardly a zero, counts hardly a gene without
_LARGEST_LOGARITHM = 30  # log2 of a 32-bit count


@dataclass(frozen=True)
class Scale:
    """The numbers that decide, of all values that are finite; NaN when there are none.

    Attributes
    ----------
    minimum, lower_quartile, median, quantile_99, maximum
        As R's `quantile` gives them.
    zeros
        The share of zeros.
    whole
        Whether all values are whole numbers.
    """

    minimum: float
    lower_quartile: float
    median: float
    quantile_99: float
    maximum: float
    zeros: float
    whole: bool

    @property
    def linear(self) -> bool:
        """Whether GEO2R would take log2."""
        wide = self.maximum - self.minimum > 50 and self.lower_quartile > 0
        return bool(self.quantile_99 > 100 or wide)

    @property
    def counts(self) -> bool:
        """Whether the values look like reads that were counted."""
        return self.whole and self.minimum >= 0 and self.maximum > _LARGEST_LOGARITHM and self.zeros >= _ZEROS

    @property
    def centred(self) -> bool:
        """Whether the values lie on both sides of zero, as log-ratios do."""
        return self.lower_quartile < 0 < self.quantile_99

    @property
    def kind(self) -> str:
        """One of "counts", "linear", "logged"."""
        return "counts" if self.counts else "linear" if self.linear else "logged"

    def sentence(self) -> str:
        """The numbers in words."""
        return (
            f"median {self.median:.4g}, 99 % below {self.quantile_99:.4g}, "
            f"range {self.minimum:.4g} to {self.maximum:.4g}"
        )


def scale_of(values: npt.NDArray[np.floating]) -> Scale:
    """Measure an array of any shape; NaN and infinities are passed over.

    Examples
    --------
    >>> import numpy as np
    >>> scale_of(np.array([3.5, 8.25, 14.0])).kind, scale_of(np.array([35.5, 825.0, 9400.0])).kind
    ('logged', 'linear')
    >>> scale_of(np.array([0.0, 3.0, 870.0])).kind
    'counts'
    """
    flat = values.ravel()
    finite = np.isfinite(flat)
    flat = flat.copy() if finite.all() else flat[finite]
    if flat.size == 0:
        return Scale(np.nan, np.nan, np.nan, np.nan, np.nan, 0.0, False)
    zeros = float(1 - np.count_nonzero(flat) / flat.size)
    whole = bool((flat[:1000] == np.rint(flat[:1000])).all() and (flat == np.rint(flat)).all())
    # 0-based places of the quantiles and of their upper neighbours, all found in one pass
    places = [share * (flat.size - 1) for share in (0.25, 0.5, 0.99)]
    flat.partition(sorted({0, flat.size - 1, *map(int, places), *(min(int(p) + 1, flat.size - 1) for p in places)}))

    def between(place: float) -> float:
        low, high = float(flat[int(place)]), float(flat[min(int(place) + 1, flat.size - 1)])
        return low + (place - int(place)) * (high - low)

    quartile, median, top = map(between, places)
    return Scale(float(flat[0]), quartile, median, top, float(flat[-1]), zeros, whole)
