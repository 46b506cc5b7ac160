"""The model server of the example: what it does around the model, its releases, and the faults that came with them.

The model is not to blame for any of these failures. retrue groups them, says which inputs fail, and `retrue reproduce` meets
them again through `answer`, which `retrue.yaml` names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

from examples.flights.data import FEATURES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

SLOW_HOURS = range(16, 20)
SLOW_SHARE = 0.06
TIMEOUT_MS = 800
# where the airlines flew when the table was typed in: that of spring, without the routes of summer
_REGIONS = {
    "north-east": "ALB BDL BGR BOS BTV BUF BWI DCA IAD MHT ORF PHL PIT PVD PWM RIC ROC SYR",
    "south": "ATL AUS AVL BHM BNA CAE CHO CHS CLT CRW DFW EYW FLL GSO GSP HOU IAH JAX LEX MCO MEM MIA MSY MYR PBI RDU RSW SAT SAV SDF SRQ TPA TUL TYS OKC XNA",
    "middle": "CAK CLE CMH CVG DAY DSM DTW GRR IND MCI MDW MKE MSN MSP OMA ORD STL",
    "west": "BUR BZN DEN EGE HDN HNL JAC LAS LAX LGB MTJ OAK PDX PHX PSP SAN SEA SFO SJC SLC SMF SNA",
    "islands": "BQN PSE SJU STT",
}
_REGION_OF = {airport: region for region, airports in _REGIONS.items() for airport in airports.split()}


class Classifier(Protocol):
    """A fitted binary classifier; `examples.flights.model.train` returns one."""

    @property
    def classes_(self) -> "npt.NDArray[np.int64]":
        """The two classes, in the order of the columns of `predict_proba`: 0, then 1."""

    def predict_proba(self, features: "pd.DataFrame", /) -> "npt.NDArray[np.float64]":
        """Return the probability of each class, shape (n_rows, 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What the server's code did from a day on.

    Attributes:
        regions: Whether it looks up the region of a destination in a table that was typed in.
        gusts: Whether it works out how gusty the wind is at Newark, and does not think of calm air.
        slow_weather: Whether the weather service that it asks is slow in the afternoon.
    """

    name: str
    since: date
    regions: bool = False
    gusts: bool = False
    slow_weather: bool = False


RELEASES = (
    Release(name="13.1", since=date(2013, 1, 1), regions=True),
    Release(name="13.2", since=date(2013, 5, 16), regions=True, gusts=True),
    Release(name="13.3", since=date(2013, 5, 30), regions=True),
    Release(name="13.4", since=date(2013, 6, 27), regions=True, slow_weather=True),
    Release(name="13.5", since=date(2013, 7, 11), regions=True),
    Release(name="13.6", since=date(2013, 8, 1)),
    Release(name="13.7", since=date(2013, 9, 12), gusts=True),  # merged from a branch that was cut off before 13.3
)


def release_on(day: date) -> Release:
    """Return the release that served on a day."""
    return [release for release in RELEASES if release.since <= day][-1]


def prepare(features: Mapping[str, object], release: Release, *, inference_id: str = "") -> dict[str, object]:
    """Return what the model is asked, or fail as this release did.

    Raises:
        KeyError: The destination is in no region.
        ZeroDivisionError: The air is calm.
        TimeoutError: The weather service did not answer.
    """
    if release.regions:
        find_region(str(features["dest"]))
    if release.gusts and features["origin"] == "EWR":
        gust_factor(_number(features["gust_mph"]), _number(features["wind_mph"]))
    if release.slow_weather:
        ask_weather(inference_id, _number(features["hour"]))
    return {name: features[name] for name in FEATURES}


def find_region(dest: str) -> str:
    """Return the region of a destination."""
    return _REGION_OF[dest]


def gust_factor(gust_mph: float, wind_mph: float) -> float:
    """Return how many times the mean wind a gust is."""
    return gust_mph / wind_mph


def ask_weather(inference_id: str, hour: float) -> None:
    """Ask for the weather of a flight, which the example has already; who has to wait is settled by the id."""
    unlucky = crc32(inference_id.encode()) / 2**32 < SLOW_SHARE
    if unlucky and int(hour) in SLOW_HOURS:
        raise TimeoutError(f"the weather service did not answer within {TIMEOUT_MS} ms")


def answer(model: Classifier, features: Mapping[str, object]) -> tuple[int, float]:
    """Answer one request as the newest release does: the class and the probability of being late."""
    import pandas as pd

    asked = prepare(features, RELEASES[-1])
    (probabilities,) = model.predict_proba(pd.DataFrame([asked]))
    return int(model.classes_[probabilities.argmax()]), float(probabilities[1])


def _number(value: object) -> float:
    return float("nan") if value is None else float(value)  # type: ignore[arg-type]
