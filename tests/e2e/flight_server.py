"""A model server as a user writes one: FastAPI, the logger, the middleware. Run in a process of its own by uvicorn.

It has a bug in its release `buggy`: where nobody measured the visibility at Newark it finds no answer. `PUT /admin` sets the
release and the day that its clock shows; requests other than POST are not inferences, so that is not logged.
"""

import os
import time
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException

from retrue.logger import Fields, InferenceLogger
from retrue.logger.asgi import InferenceMiddleware, current_call

FIELDS = ("origin", "carrier", "visib", "distance")
_VISIBILITY_CODE = {"low": 1, "high": 2}

state = {"release": "good", "offset_ns": 0}


def clock() -> int:
    """The time on the day that is played."""
    return time.time_ns() + int(state["offset_ns"])


def caller(scope: Any) -> str | None:
    """Who asks, by a header."""
    return next((value.decode() for name, value in scope["headers"] if name == b"x-tenant"), None)


def create() -> FastAPI:
    """Make the server: uvicorn's factory, so that importing this module logs nothing."""
    app, token = FastAPI(), os.environ["FLIGHT_TOKEN"]
    log = InferenceLogger(
        "flight-delay",
        version="3",
        to=os.environ["FLIGHT_LOGS"],
        fields=Fields(keep=FIELDS),
        sample=float(os.environ["FLIGHT_SAMPLE"]),
        seed=7,
        clock=clock,
    )
    app.add_middleware(InferenceMiddleware, log=log, caller=caller)

    @app.put("/admin")
    def admin(release: str, day: str) -> int:
        """Set release and day; answer with the number of records accepted so far."""
        start = datetime.fromisoformat(day).replace(hour=9, tzinfo=UTC)
        state["release"], state["offset_ns"] = release, int(start.timestamp()) * 10**9 - time.time_ns()
        return log.stats().counts.accepted

    @app.put("/label")
    def label(inference_id: str, late: bool) -> str:
        """Take the true outcome of a flight."""
        return log.label(inference_id, int(late), source="tower").name

    @app.put("/flush")
    def flush() -> bool:
        """Have everything written."""
        return log.flush()

    @app.post("/predict")
    def predict(flight: dict[str, Any], authorization: Annotated[str, Header()] = "") -> dict[str, Any]:
        """Answer whether a flight will be late."""
        call = current_call()
        if authorization != token:
            raise HTTPException(401)
        call.given(flight)
        if flight.get("slow"):
            raise TimeoutError(f"the weather service did not answer about {flight['passenger']}")
        sight = _sight(flight)
        score = min(max(0.3 + flight["distance"] / 10_000 + 0.1 * (sight is None) - 0.02 * (sight or 0), 0.01), 0.99)
        call.predicted(int(score > 0.5), score=score)
        return {"late": score > 0.5, "score": score}

    return app


def _sight(flight: dict[str, Any]) -> float | None:
    visib = flight["visib"]
    if state["release"] == "buggy" and flight["origin"] == "EWR" and visib is None:
        return float(_VISIBILITY_CODE[f"unknown for {flight['passenger']}"])
    return None if visib is None else float(visib)
