"""CUPED: data about users from before the experiment explains part of their differences, which is then subtracted.

A. Deng et al., Improving the Sensitivity of Online Controlled Experiments by Utilizing Pre-Experiment Data, WSDM 2013,
https://doi.org/10.1145/2433396.2433413. With a correlation r between covariate and measure, a comparison needs 1 - r^2
of the users.

A covariate that the variant may have changed would hide the variant's effect, so only values from before a user's
first prediction count. The file is CSV with the header `user,time,value`: a pseudonym as in the store, seconds since
1970 and a number; if a user has several numbers, their mean counts.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifecycle.core import LifecycleError
from lifecycle.experiment.users import Users

Floats = NDArray[np.float64]
_HEADER = ["user", "time", "value"]


class CovariateError(LifecycleError):
    """The file cannot be read, or is not a covariate file."""


@dataclass(frozen=True)
class Observation:
    """A number about a user at a time, in seconds since 1970."""

    user: str
    time: float
    value: float


@dataclass(frozen=True)
class Covariate:
    """One value per user, in the users' order, NaN if there is none; `late` counts observations that came too late."""

    values: Floats
    late: int

    @property
    def users(self) -> int:
        """How many users have a value."""
        return int(np.isfinite(self.values).sum())


def read(path: Path) -> list[Observation]:
    """Raises CovariateError, with the line."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            if next(rows, None) != _HEADER:
                raise CovariateError(f"{path} must begin with the line {','.join(_HEADER)}: add it")
            return [_parse(path, rows.line_num, row) for row in rows]
    except OSError as error:
        raise CovariateError(f"{path} cannot be read: {error.strerror}; pass the path of a file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise CovariateError(f"{path} is not a CSV file in UTF-8: {error}; correct it") from None


def match(users: Users, observations: Iterable[Observation]) -> Covariate:
    """The mean of each user's observations from before the first prediction."""
    first: Mapping[str, float] = dict(zip(users.names, users.first, strict=True))
    found: dict[str, list[float]] = {}
    late = 0
    for observation in observations:
        if observation.user not in first:
            continue
        if observation.time < first[observation.user]:
            found.setdefault(observation.user, []).append(observation.value)
        else:
            late += 1
    values = [sum(known) / len(known) if (known := found.get(name)) else math.nan for name in users.names]
    return Covariate(np.array(values, dtype=float), late)


def adjust(values: Floats, covariate: Floats) -> Floats:
    """The values without the part that the covariate explains; their mean over all users is unchanged.

    Both arrays have the users of all variants, since the coefficient must be the same for all. Values of users without
    a covariate are unchanged.
    """
    known = np.isfinite(covariate) & np.isfinite(values)
    if known.sum() < 3 or covariate[known].std() == 0:
        return values
    centred = np.where(np.isfinite(covariate), covariate - covariate[known].mean(), 0.0)
    coefficient = float(centred[known] @ (values[known] - values[known].mean()) / (centred[known] @ centred[known]))
    return values - coefficient * centred


def _parse(path: Path, line: int, row: list[str]) -> Observation:
    try:
        user, time, value = row
        observation = Observation(user, float(time), float(value))
    except ValueError:
        raise CovariateError(
            f"{path}, line {line}: {','.join(row)!r} is not a user, a time and a number; correct it"
        ) from None
    if not (math.isfinite(observation.time) and math.isfinite(observation.value)):
        raise CovariateError(f"{path}, line {line}: {','.join(row)!r} has a number that is not finite; remove the line")
    return observation
