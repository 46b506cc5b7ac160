"""Registered versions, baselines and the champion. The ledger decides who serves; MLflow's aliases follow through the outbox."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, insert, select, update

from retrue.errors import DigestMismatchError, FencedError, ModelError
from retrue.ledger.outbox import add_effects, notices
from retrue.ledger.probations import ProbationEnd, close_probation, end_probations, open_probation
from retrue.ledger.requests import check_claim, close_row, request_row
from retrue.ledger.schema import baselines, models, promotions, versions
from retrue.ledger.store import Store
from retrue.ledger.values import EXTERNAL, ModelVersion, Promotion
from retrue.results import Effect


class Models:
    """Versions, baselines and promotions of all models."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def register_version(
        self, model: str, version: str, *, sha256: str, kind: str, run_id: str, now: datetime
    ) -> ModelVersion:
        """Record a model file's digest; the same again changes nothing.

        Raises:
            DigestMismatchError: The version is registered with other bytes.
        """
        with self._store.write(model) as connection:
            if _version(connection, model, version) is None:
                row = {"sha256": sha256, "kind": kind, "run_id": run_id, "registered_at": now}
                connection.execute(insert(versions).values(model=model, version=version, **row))
            known = self._known(connection, model, version)
        if known.sha256 != sha256:
            raise DigestMismatchError(
                f"version {version} of {model} is registered with digest {known.sha256[:12]}…, not {sha256[:12]}…"
            )
        return known

    def version(self, model: str, version: str) -> ModelVersion:
        """Return a registered version.

        Raises:
            ModelError: It is not registered.
        """
        with self._store.read() as connection:
            return self._known(connection, model, version)

    def registered(self, model: str) -> frozenset[str]:
        """Return a model's versions that are in its registry, not known by their log only."""
        wanted = select(versions.c.version).where(versions.c.model == model, versions.c.kind != EXTERNAL)
        with self._store.read() as connection:
            return frozenset(connection.execute(wanted).scalars())

    def version_digest(self, model: str, version: str) -> str:
        """Return the SHA-256 a model file must have before it is loaded.

        Raises:
            ModelError: The version is not registered.
        """
        return self.version(model, version).sha256

    def champion(self, model: str) -> str | None:
        """Return the version that serves, None before the first promotion."""
        with self._store.read() as connection:
            return champion_of(connection, model)

    def promote(
        self,
        model: str,
        version: str,
        *,
        expected_champion: str | None,
        reason: str,
        request: str | None = None,
        token: int = 0,
        gate: Mapping[str, object] | None = None,
        actor: str = "retrue",
        probation_from: datetime | None = None,
        notify: Sequence[str] = (),
        now: datetime,
    ) -> Promotion:
        """Make a version the champion if the champion is still the one it was compared with, and close its request.

        Promoting the same version for the same request again returns the promotion made then, with ``new`` false, so that a
        flow run that died after it can go on.

        Args:
            model: The model.
            version: A registered version.
            expected_champion: The champion that the challenger was compared with, None for the first.
            reason: One sentence.
            request: The retraining request it answers.
            token: From the request's claim.
            gate: The gate's result, for the record.
            actor: Who promotes.
            probation_from: From when on rows tell whether it is worse than the champion before; None for no probation.
            notify: Receivers of a message about it.
            now: The time of it.

        Raises:
            ModelError: The version is not registered.
            FencedError: The champion has changed meanwhile, or another flow run holds the request; nothing was written.
        """
        with self._store.write(model) as connection:
            self._known(connection, model, version)
            made = _made_before(connection, model, version, request)
            if made is not None:
                return _read(made, new=False)
            if request is not None:
                check_claim(request_row(connection, request), token)
                close_row(connection, request, "promoted", reason, now)
            _move(connection, model, version, expected_champion, now)
            row = {
                "action": "promoted",
                "reason": reason,
                "actor": actor,
                "request_id": request,
                "gate": dict(gate or {}),
            }
            promotion = _record(connection, model, version, expected_champion, row, notify, now)
            end_probations(connection, model, f"version {version} was promoted", now)
            if probation_from is not None and expected_champion is not None:
                open_probation(connection, promotion.id, model, (version, expected_champion), probation_from)
            return promotion

    def rollback(
        self,
        model: str,
        *,
        reason: str,
        by: str,
        notify: Sequence[str] = (),
        probation: ProbationEnd | None = None,
        now: datetime,
    ) -> Promotion:
        """Make the version champion again that served before the champion was promoted; again goes one further back.

        Args:
            model: The model.
            reason: One sentence.
            by: Who goes back.
            notify: Receivers of a message about it.
            probation: The probation that this ends, which must be open and the champion's; None for a person's order.
            now: The time of it.

        Raises:
            ModelError: There is none before it.
            FencedError: The probation has ended meanwhile; nothing was written.
        """
        with self._store.write(model) as connection:
            champion = champion_of(connection, model)
            if probation is not None:
                close_probation(connection, probation, now)
            end_probations(connection, model, f"rolled back by {by}", now)
            previous = _previous(connection, model, champion)
            if champion is None or previous is None:
                raise ModelError(f"{model} has no version to go back to from {champion or 'nothing'}")
            _move(connection, model, previous, champion, now)
            row: dict[str, object] = {
                "action": "rolled-back",
                "reason": reason,
                "actor": by,
                "request_id": None,
                "gate": {},
            }
            return _record(connection, model, previous, champion, row, notify, now)

    def promotions(self, model: str, *, limit: int = 20) -> tuple[Promotion, ...]:
        """Return the moves of the champion, newest first."""
        newest = select(promotions).where(promotions.c.model == model).order_by(promotions.c.id.desc()).limit(limit)
        with self._store.read() as connection:
            return tuple(_read(row, new=False) for row in connection.execute(newest))

    def register_baseline(self, model: str, version: str, digest: str, now: datetime) -> None:
        """Record the digest of a version's frozen baseline; a new one replaces the old, which stays on record."""
        with self._store.write(model) as connection:
            if _baseline(connection, model, version) != digest:
                row = {"model": model, "version": version, "digest": digest, "registered_at": now}
                connection.execute(insert(baselines).values(row))

    def baseline_digest(self, model: str, version: str) -> str | None:
        """Return the digest a baseline must have: another one means that its files were changed by hand."""
        with self._store.read() as connection:
            return _baseline(connection, model, version)

    def baseline_registered_at(self, model: str, version: str, digest: str) -> datetime | None:
        """Return since when a version's baseline is known to have had a digest; None where it never had."""
        mine = (baselines.c.model == model, baselines.c.version == version, baselines.c.digest == digest)
        with self._store.read() as connection:
            wanted = select(baselines.c.registered_at).where(*mine).order_by(baselines.c.id).limit(1)
            return connection.execute(wanted).scalar()

    def _known(self, connection: Connection, model: str, version: str) -> ModelVersion:
        row = _version(connection, model, version)
        if row is None:
            raise ModelError(f"version {version} of {model} is not registered in the ledger")
        return ModelVersion(**row._mapping)


def champion_of(connection: Connection, model: str) -> str | None:
    """Return the version that serves, within a transaction."""
    return connection.execute(select(models.c.champion).where(models.c.name == model)).scalar()


def _version(connection: Connection, model: str, version: str) -> Row[tuple[object, ...]] | None:
    wanted = select(versions).where(versions.c.model == model, versions.c.version == version)
    return connection.execute(wanted).first()


def _baseline(connection: Connection, model: str, version: str) -> str | None:
    wanted = select(baselines.c.digest).where(baselines.c.model == model, baselines.c.version == version)
    return connection.execute(wanted.order_by(baselines.c.id.desc()).limit(1)).scalar()


def _made_before(
    connection: Connection, model: str, version: str, request: str | None
) -> Row[tuple[object, ...]] | None:
    """Return the promotion of the same request or, without one, the promotion of a version that is the champion already."""
    made = select(promotions).where(promotions.c.model == model, promotions.c.version == version)
    if request is not None:
        return connection.execute(made.where(promotions.c.request_id == request)).first()
    if champion_of(connection, model) != version:
        return None
    return connection.execute(made.order_by(promotions.c.id.desc()).limit(1)).first()


def _previous(connection: Connection, model: str, champion: str | None) -> str | None:
    """Return what served before the champion's latest promotion, the answer of a rollback."""
    mine = (promotions.c.model == model, promotions.c.version == champion, promotions.c.action == "promoted")
    wanted = select(promotions.c.from_version).where(*mine).order_by(promotions.c.id.desc()).limit(1)
    return connection.execute(wanted).scalar()


def _move(connection: Connection, model: str, version: str, expected: str | None, now: datetime) -> None:
    champion = champion_of(connection, model)
    if champion == version:
        raise ModelError(f"version {version} of {model} is the champion already")
    if champion != expected:
        raise FencedError(
            f"the champion of {model} is {champion or 'not set'}, not {expected or 'unset'} as expected at {now:%Y-%m-%d %H:%M} UTC; "
            "nothing was written: compare with the new champion"
        )
    connection.execute(update(models).where(models.c.name == model).values(champion=version))


def _record(
    connection: Connection,
    model: str,
    version: str,
    before: str | None,
    row: Mapping[str, object],
    notify: Sequence[str],
    now: datetime,
) -> Promotion:
    values = {"model": model, "version": version, "from_version": before, "promoted_at": now, **row}
    number = connection.execute(insert(promotions).values(values).returning(promotions.c.id)).scalar_one()
    made = _read(connection.execute(select(promotions).where(promotions.c.id == number)).one(), new=True)
    subject = f"{model}: version {version} {'promoted' if made.action == 'promoted' else 'is back'}"
    messages = notices(model, f"{made.action}:{made.id}", notify, subject, made.reason)
    add_effects(connection, model, (*_effects(made, _previous(connection, model, version)), *messages), now)
    return made


def _effects(made: Promotion, previous: str | None) -> Iterator[Effect]:
    """Yield the alias move, whose payload is the state to reach, and the event."""
    name = f"retrue.model.{made.action}"
    facts = {"model": made.model, "version": made.version, "from_version": made.from_version, "reason": made.reason}
    aliases: dict[str, str | None] = {"champion": made.version, "previous": previous}
    if made.action == "promoted":
        aliases["challenger"] = None
    yield Effect(
        kind="alias", dedup_key=f"alias:{made.model}:{made.id}", payload={"model": made.model, "aliases": aliases}
    )
    yield Effect(
        kind="event",
        dedup_key=f"event:{name}:{made.model}:{made.id}",
        payload={"event": name, **facts, "actor": made.actor, "request_id": made.request_id},
    )


def _read(row: Row[tuple[object, ...]], *, new: bool) -> Promotion:
    return Promotion(
        id=row.id,
        model=row.model,
        version=row.version,
        from_version=row.from_version,
        action=row.action,
        reason=row.reason,
        actor=row.actor,
        request_id=row.request_id,
        gate=row.gate,
        at=row.promoted_at,
        new=new,
    )
