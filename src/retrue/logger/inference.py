"""The inference logger: what a model server calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from time import perf_counter_ns
from types import TracebackType
from typing import Final, Self, Unpack

from retrue.logger import lifecycle
from retrue.logger.boot import Boot
from retrue.logger.calls import (
    ACCEPTED,
    CLOSED,
    SAMPLED_OUT,
    SHED,
    Answer,
    Call,
    CallFacts,
    EndFacts,
    Facts,
    Observer,
    OutcomeFacts,
    Status,
    copied,
)
from retrue.logger.counts import Counts, Stats
from retrue.logger.disk import Disk
from retrue.logger.endings import MODULES, TRACING, concluded, trace
from retrue.logger.fields import Fields
from retrue.logger.intake import Queues
from retrue.logger.nursery import Nursery
from retrue.logger.observers import Observers, told
from retrue.logger.records import began_at
from retrue.logger.settings import Settings

COST_EVERY: Final = 1_024
"""Of so many successes that are kept one is timed."""
DURABLE_SECONDS: Final = 5.0
"""How long a durable record is waited for."""


class InferenceLogger:
    """Logs the calls of one model from inside the process that serves it.

    Once it is made, no method raises or waits for a disk (but `durable=True`, `flush` and `close`, within a time), and
    what is lost is counted. Exceptions of the observed code itself pass through. One object serves all threads, tasks and,
    after a fork, the children. It is closed by `close`, at the end of a `with` block, at exit, and by SIGTERM where nobody else handles that.

    Args:
        model: Name of the model, `[a-z0-9][a-z0-9._-]{0,63}`.
        version: Its version.
        to: The folder of its logs, made with mode 0700 if absent.
        fields: What of a record may be written; None: nothing but types, lengths and numbers that the model gave.
        sample: Share of successes that are kept, 0 to 1. Failures all are.
        endpoint: Of calls that name none.
        observers: Told of each call.
        queues: How much may wait in memory.
        spool_bytes: What all segments of a kind may weigh on disk; beyond it records are refused and counted.
        resources_every: Seconds between two samples of what the process uses; None: no samples.
        clock: Time in ns since 1970.
        seed: Of the sampling; None: by chance.
        disk: The file system.

    Raises:
        TypeError, ValueError: An argument is not of its kind, or the folder is insecure or another's.
    """

    def __init__(
        self,
        model: str,
        *,
        version: str,
        to: str | Path,
        fields: Fields | None = None,
        sample: float = 1.0,
        endpoint: str | None = None,
        observers: Sequence[Observer] = (),
        queues: Queues | None = None,
        spool_bytes: int = 2**30,
        resources_every: float | None = 10.0,
        clock: Callable[[], int] = time.time_ns,
        seed: int | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._settings = Settings(
            model=model,
            version=version,
            to=Path(to),
            fields=Fields() if fields is None else fields,
            sample=sample,
            endpoint=endpoint,
            queues=queues or Queues(),
            spool_bytes=spool_bytes,
            resources_every=resources_every,
            clock=clock,
            seed=seed,
            disk=disk or Disk(),
        )
        self.model, self.version, self.fields = model, version, self._settings.fields
        self._observers = Observers(observers)
        self._is_observed = bool(observers)
        self._sample, self._clock = self._settings.sample, clock
        self._timed_below = sample / COST_EVERY
        self._closed = False
        self._is_plain = not observers
        self._nursery = Nursery(self._settings.disk)
        self._begin_boot()
        self._intake.inferences.open()
        lifecycle.watch(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"InferenceLogger({self.model!r}, version={self.version!r}, to={str(self._settings.to)!r})"

    @property
    def boot(self) -> str:
        """Return the name of this process in the logs: 16 hex digits."""
        return self._boot.name

    # ---------------------------------------------------------------- what the host calls

    def observe(self, features: object, **facts: Unpack[CallFacts]) -> Call:
        """Return a context manager around one call of the model; see `Call` for what may be said inside.

        Latency is measured from entering to leaving the block. An exception that leaves it is recorded and goes on:
        as `timeout` where `is_timeout` says so (a cancelled task too: nobody waits for it any more), else as `error`,
        `KeyboardInterrupt` and `SystemExit` included, since whoever asked got no answer. A generator that is closed
        before its end is no failure.

        Features are copied here, but not what lies in them; a mapping that is no `dict` is read a moment later.
        """
        said: Facts = facts  # type: ignore[assignment]
        said["features"] = copied(features)
        return Call(self, said)

    def record(
        self,
        features: object,
        *,
        prediction: object = None,
        score: float | None = None,
        latency_ms: float | None = None,
        status: Status | None = None,
        error: BaseException | None = None,
        durable: bool = False,
        **facts: Unpack[EndFacts],
    ) -> Answer:
        """Log one call that has ended.

        Args:
            features: What the model was given.
            prediction: Its answer.
            score: Probability of the positive class.
            latency_ms: How long it took.
            status: None: `ok`, or what the error makes of it.
            error: The exception that ended it.
            durable: Wait until the record is on disk, at most five seconds: `ACCEPTED` means just that. Such a record is
                neither sampled nor thinned. Do not use it in a request's path.
            facts: See `EndFacts`.
        """
        if not self._is_plain or error is not None or status is not None or durable:
            outcome: Facts = {"prediction": prediction, "score": score, "latency_ms": latency_ms}
            return self._record_more(features, {**facts, **outcome}, status=status, error=error, durable=durable)
        chance = self._random()
        if chance >= self._sample:
            tick = self._sampled_out
            for number in tick.numbers:
                tick.value = number  # one step with the line above
                return SAMPLED_OUT
        began = perf_counter_ns() if chance < self._timed_below else 0
        try:
            more: Facts = facts  # type: ignore[assignment]
            if TRACING in MODULES:
                trace(more)
            kept = features.copy() if type(features) is dict else copied(features)
            answer = self._keep((kept, prediction, score, latency_ms, self._clock(), more), chance)
        except Exception:  # noqa: BLE001 - values of the host may raise anything; the host is never hurt
            return self._intake.broken()
        if began:
            self._intake.timed(began)
        return answer

    async def arecord(
        self,
        features: object,
        *,
        status: Status | None = None,
        error: BaseException | None = None,
        durable: bool = False,
        **facts: Unpack[OutcomeFacts],
    ) -> Answer:
        """Log as `record` does; a durable record is waited for without holding the event loop."""
        if not durable:
            return self.record(features, status=status, error=error, **facts)
        import asyncio

        return await asyncio.to_thread(self.record, features, status=status, error=error, durable=True, **facts)

    def label(
        self, inference_id: str, label: object, *, at: int | datetime | None = None, source: str | None = None
    ) -> Answer:
        """Log the true outcome of an inference.

        Args:
            inference_id: As it was given to `observe` or read from `Call.inference_id`.
            label: The outcome; None is none.
            at: When it was known, in ns since 1970 or as an aware datetime; None: now.
            source: Who says so.
        """
        if self._closed:
            return CLOSED
        try:
            when = self._clock() if at is None else at
            return self._intake.label(
                {"inference_id": inference_id, "label": label, "labelled_at": when, "source": source}
            )
        except Exception:  # noqa: BLE001 - as above
            return self._intake.broken()

    async def alabel(
        self, inference_id: str, label: object, *, at: int | datetime | None = None, source: str | None = None
    ) -> Answer:
        """Log as `label` does, which never waits."""
        return self.label(inference_id, label, at=at, source=source)

    def lend(self) -> None:
        """Encode a few records in this thread, some 10 µs each, that the logger's own thread would encode soon.

        For a moment in which nobody waits for the host, such as after an answer has left (the ASGI middleware does so): the
        next request then need not wait until two threads have handed the interpreter's lock to each other. Never waits.
        """
        self._intake.lend()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was accepted before is on disk; false where it is not within these seconds."""
        return self._intake.drain.flush(timeout)

    def close(self, timeout: float = 2.0) -> Counts:
        """Write what is queued and close the files, within these seconds; return what became of all inferences.

        What is queued then goes on being written for as long as the process lives. Later calls are answered by `CLOSED`.
        """
        self._closed, self._is_plain = True, False
        self._intake.drain.stop(timeout)
        if self._intake.drain.finished:
            self._nursery.close()
        return self._boot.counts()

    def stats(self) -> Stats:
        """Return counts and gauges of this process."""
        return self._boot.stats()

    # ---------------------------------------------------------------- what calls use

    def _begin(self, call: Call, facts: Facts) -> None:
        self._observers.started(call)
        try:
            if facts.get("time") is None:
                facts["time"] = self._clock()
            if TRACING in MODULES:
                trace(facts)
        except Exception:  # noqa: BLE001 - a clock or a tracer that fails costs time and trace, not the call
            return

    def _end(self, call: Call, facts: Facts) -> None:
        chance = self._random()
        began = perf_counter_ns() if chance < self._timed_below else 0
        try:
            if self._is_observed:
                self._id_of(facts)  # before the drain makes one
            site = concluded(facts) if "error" in facts or "status" in facts else None
            if self._closed:
                pass
            elif site is None:
                self._intake.success(facts, chance)
            else:
                self._intake.failure(facts, site)
        except Exception:  # noqa: BLE001 - as in `record`
            self._intake.broken()
        if self._is_observed:
            self._tell(call, facts)
        if began:
            self._intake.timed(began)

    def _id_of(self, facts: Facts) -> str:
        given = facts.get("inference_id")
        if given is None:
            given = facts["inference_id"] = self._boot.new_id()
        try:
            return str(given)
        except Exception:  # noqa: BLE001 - as in `record`
            return ""

    # ---------------------------------------------------------------- inside

    def _record_more(
        self, features: object, facts: Facts, *, status: Status | None, error: BaseException | None, durable: bool
    ) -> Answer:
        """Log a call that failed, is observed, or is to be durable."""
        if self._closed:
            return CLOSED
        chance = self._random()
        began = perf_counter_ns() if chance < self._timed_below else 0
        lost = sum(self._intake.inferences.dropped.values()) if durable else 0
        try:
            facts["features"], facts["ended_at"] = copied(features), self._clock()
            if TRACING in MODULES:
                trace(facts)
            answer = self._take_ended(facts, chance, status=status, error=error, durable=durable)
        except Exception:  # noqa: BLE001 - as in `record`
            return self._intake.broken()
        if began:
            self._intake.timed(began)
        return self._made_durable(answer, lost) if durable else answer

    def _take_ended(
        self, facts: Facts, chance: float, *, status: Status | None, error: BaseException | None, durable: bool
    ) -> Answer:
        if status is not None:
            facts["status"] = status
        if error is not None:
            facts["error"] = error
        if self._is_observed:
            self._id_of(facts)  # before the drain makes one
        site = concluded(facts)
        if site is not None:
            answer = self._intake.failure(facts, site)
        else:
            answer = self._intake.sure(facts) if durable else self._intake.success(facts, chance)
        if self._is_observed:
            self._tell(Call(self, {}), facts)
        return answer

    def _made_durable(self, answer: Answer, lost: int) -> Answer:
        """Wait for the disk; where records were lost meanwhile this one may be among them."""
        if answer is not ACCEPTED:
            return answer
        is_durable = self.flush(DURABLE_SECONDS) and sum(self._intake.inferences.dropped.values()) == lost
        return ACCEPTED if is_durable else SHED

    def _tell(self, call: Call, facts: Facts) -> None:
        try:
            record = told(
                facts,
                time=began_at(facts, self._clock),
                inference_id=self.fields.identify(self._id_of(facts)),
                endpoint=facts.get("endpoint") or self._settings.endpoint,
                model=self.model,
                model_version=facts.get("model_version") or self.version,
            )
        except Exception:  # noqa: BLE001 - values of the host may raise anything
            self._observers.errors.add()
            record = {"status": "error", "model": self.model, "model_version": self.version}
        self._observers.finished(call, record)

    def _begin_boot(self) -> None:
        self._boot = Boot(
            self._settings,
            nursery=self._nursery,
            observer_errors=self._observers.errors,
            started=lambda: lifecycle.watch_worker(self),
        )
        self._random, self._intake = self._boot.random, self._boot.intake
        self._sampled_out, self._keep = self._intake.sampled_out, self._intake.keep

    def _after_fork(self) -> None:
        """Let go of what was inherited, and begin anew."""
        self._intake.drain.abandon()
        self._observers.after_fork()
        self._begin_boot()
