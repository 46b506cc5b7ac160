"""Everything that one process needs to log: a name, numbers, lanes, a drain and the spools. A forked child makes its own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random

import orjson

from retrue.logger.calls import Facts, Plain
from retrue.logger.counts import Counts, Stats
from retrue.logger.drain import Drain
from retrue.logger.encoder import Encoder
from retrue.logger.exceptions import site_text
from retrue.logger.intake import Intake
from retrue.logger.lanes import Tick
from retrue.logger.lines import Lines
from retrue.logger.nursery import Nursery
from retrue.logger.records import bare, facts_of, inference_record, label_record, plain_record
from retrue.logger.resources import Resources
from retrue.logger.segments import new_boot
from retrue.logger.settings import Settings
from retrue.logger.spool import Spool
from retrue.logger.streams import Stream
from retrue.logger.tally import Tally


class Boot:
    """One process's part of a logger.

    Args:
        settings: The logger's.
        nursery: Where the inferences of a forked child are counted at first.
        observer_errors: Counts what observers raise.
        started: Called in the drain's thread as it starts.

    Attributes:
        name: 16 hex digits, unique to the process.
        intake: Takes records.
        random: Draws from [0, 1), without touching the host's sequence of random numbers.
    """

    def __init__(
        self, settings: Settings, *, nursery: Nursery, observer_errors: Tick, started: Callable[[], None]
    ) -> None:
        self.name = new_boot()
        self.random = Random(settings.seed).random  # noqa: S311 - a sample, not a secret
        self._observer_errors = observer_errors
        self._settings = settings
        self._asked = count(1)
        self._resources = Resources()
        inferences = Stream(
            "inferences",
            self._spool_maker("inferences", settings.to),
            self._inference_line,
            nursery.tally(self.name),
        )
        labels = Stream("labels", self._spool_maker("labels", settings.to / "labels"), self._label_line)
        self._gauges = Stream("resources", self._spool_maker("resources", settings.to / "resources"), _no_line)
        streams = (inferences, labels, self._gauges)
        encoder = Encoder(streams, is_quick=settings.fields.is_quick)
        self.intake = Intake(inferences, labels, encoder, settings.queues, settings.sample)
        self.intake.drain = Drain(
            self.intake.urgent,
            self.intake.rest,
            streams,
            encoder,
            sample=None if settings.resources_every is None else self._sample_resources,
            sample_every=settings.resources_every or 0.0,
            started=started,
        )

    def new_id(self) -> str:
        """Return an id for an inference that has no number yet."""
        return f"{self.name}-a{next(self._asked)}"

    def counts(self) -> Counts:
        """Return what became of the inferences."""
        return _counts(self.intake.inferences)

    def stats(self) -> Stats:
        """Return counts and gauges."""
        intake = self.intake
        return Stats(
            counts=_counts(intake.inferences),
            labels=_counts(intake.labels),
            queue_records=len(intake.urgent) + len(intake.rest),
            queue_bytes=intake.urgent.bytes + intake.rest.bytes,
            shed_failures={site_text(site): shed for site, shed in list(intake.overflow.shed.items())},
            cost_ns={2**place: calls for place, calls in enumerate(intake.costs) if calls},
            observer_errors=self._observer_errors.value,
        )

    def _spool_maker(self, kind: str, root: Path) -> Callable[[Tally], Spool]:
        settings = self._settings
        return lambda tally: Spool(
            root,
            kind=kind,
            model=settings.model,
            model_version=settings.version,
            boot=self.name,
            tally=tally,
            max_spool_bytes=settings.spool_bytes,
            disk=settings.disk,
        )

    def _inference_line(self, said: Facts | Plain, number: int, weight: float) -> bytes | None:
        settings = self._settings
        boot, endpoint = self.name, settings.endpoint
        own: dict[str, object] = {}
        if type(said) is tuple and not said[-1]:
            own, record = plain_record(said, number, weight, boot=boot, endpoint=endpoint)
        else:
            facts = facts_of(said) if isinstance(said, tuple) else said
            record = inference_record(facts, number, weight, boot=boot, endpoint=endpoint, now=settings.clock)
        try:
            return settings.fields.encode(record, own.copy())
        except Exception:  # noqa: BLE001 - values of the host may raise anything; then they are left out
            return settings.fields.encode(bare({**own, **record}))

    def _label_line(self, facts: Facts, number: int, weight: float) -> bytes | None:
        record = label_record(facts, number, now=self._settings.clock)
        try:
            return self._settings.fields.encode(record)
        except Exception:  # noqa: BLE001 - as above; without its values a label says nothing
            return None

    def _sample_resources(self) -> None:
        """Write what the process uses, and the logger's own gauges."""
        stats = self.stats()
        record = {
            "seq": self._gauges.number(),
            "time": self._settings.clock(),
            **self._resources.sample(),
            "queue_records": stats.queue_records,
            "queue_bytes": stats.queue_bytes,
            "accepted": stats.counts.accepted,
            "sampled_out": stats.counts.sampled_out,
            "shed": sum(stats.counts.shed.values()),
            "dropped": sum(stats.counts.dropped.values()),
            "observer_errors": stats.observer_errors,
        }
        self._gauges.append(Lines.of([orjson.dumps(record)]))


def _counts(stream: Stream) -> Counts:
    accepted, on_disk, dropped = stream.accepted, stream.on_disk, stream.dropped
    return Counts(
        accepted=accepted,
        on_disk=on_disk,
        queued=accepted - on_disk - sum(dropped.values()),
        dropped=dropped,
        sampled_out=stream.sampled_out.value,
        shed={reason: tick.value for reason, tick in stream.shed.items() if tick.value},
    )


def _no_line(facts: Facts, number: int, weight: float) -> None:
    """What the process uses goes into no lane."""
