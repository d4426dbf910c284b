"""Made-up patients of four hospitals, of the shape of the heart disease table; none of them is real.

One logistic rule makes the labels of all hospitals; hospitals differ in size, in who comes to them (means and
spreads of the features) and in how many are ill, as the centres of the real table do.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from ....common.arrays import Floats, Ints32
from ..dataset import DATASETS, Dataset, DatasetSource
from .columns import split_rows, standardised
from .files import assemble

_SIZES = (303, 261, 46, 130)
_SHIFTS = (-0.2, -0.9, 2.5, 1.0)  # log odds of being ill
_YEARS = 5.0  # that patients are followed


@DATASETS.register("synthetic-hospitals")
class SyntheticHospitals(DatasetSource):
    """Synthetic patients of four hospitals with 303, 261, 46 and 130 rows, split 60/20/20 in each.

    Attributes:
        features: how many are measured.
        shift: how unlike the hospitals' patients are.
        survival: whether the label is a death with a time, for `cox`, in place of a diagnosis.
    """

    features: int = Field(default=13, ge=1, le=1000)
    shift: float = Field(default=0.6, ge=0, le=10)
    survival: bool = False

    def silos(self) -> int:
        """See `DatasetSource.silos`."""
        return len(_SIZES)

    def load(self, rng_seed: int) -> Dataset:
        """See `DatasetSource.load`."""
        rng = np.random.default_rng([0x405, rng_seed])
        effect = rng.normal(0.0, 3.0 / np.sqrt(self.features), self.features)
        silo = np.repeat(np.arange(len(_SIZES), dtype=np.int32), _SIZES)
        mean = rng.normal(0.0, self.shift, (len(_SIZES), self.features))
        spread = np.exp(rng.normal(0.0, 0.3 * self.shift, (len(_SIZES), self.features)))
        x = mean[silo] + spread[silo] * rng.standard_normal((silo.size, self.features))
        # Hospitals differ in how many are ill beyond what their patients' features say.
        odds = (x - mean[silo]) @ effect + np.array(_SHIFTS)[silo]
        times: Floats | None = None
        if self.survival:
            label, times = _deaths(odds / 2.0, rng)
        else:
            label = (rng.random(silo.size) < 1.0 / (1.0 + np.exp(-odds))).astype(np.int32)
        part = split_rows(label, silo, (0.2, 0.2), rng_seed)
        features = np.stack([standardised(column, part == 0, silo) for column in x.T], axis=1)
        name = "synthetic hospitals"
        return assemble(name, features.astype(np.float32), label, part, silo, 2, times)


def _deaths(log_hazard: Floats, rng: np.random.Generator) -> tuple[Ints32, Floats]:
    """Whether a death was seen, and days until it or until observation ended, in whole days."""
    years = rng.exponential(1.0, log_hazard.size) * 8.0 * np.exp(-log_hazard)
    followed = rng.uniform(0.5, _YEARS, log_hazard.size)
    days = np.ceil(365.0 * np.minimum(years, followed))
    return (years <= followed).astype(np.int32), np.asarray(days, dtype=np.float64)
