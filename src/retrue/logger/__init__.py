"""The inference logger: runs inside a model server, imports only the standard library and orjson.

log = InferenceLogger("flight-delay", version="3", to="logs/flight-delay", fields=Fields(keep=["carrier"]))
with log.observe(features) as call:
    call.predicted(model.predict(features))
"""

from retrue.logger.calls import ACCEPTED, CLOSED, SAMPLED_OUT, SHED, Answer, Call, Observer
from retrue.logger.counts import Counts, Stats
from retrue.logger.fields import Fields
from retrue.logger.inference import InferenceLogger
from retrue.logger.intake import Queues
from retrue.logger.values import Limits

__all__ = [
    "ACCEPTED",
    "CLOSED",
    "SAMPLED_OUT",
    "SHED",
    "Answer",
    "Call",
    "Counts",
    "Fields",
    "InferenceLogger",
    "Limits",
    "Observer",
    "Queues",
    "Stats",
]
