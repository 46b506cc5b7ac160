"""The ledger's tables. Times are UTC; ids of windows, revisions and outbox rows count upwards within a model.

``migrations/versions`` makes them; a test keeps the two equal. Text is stored as both databases can hold it: NUL and lone
surrogates, which a hostile column name may carry, are written as escapes. Names begin with ``retrue_``, so that a ledger can
share a database with MLflow, which has a ``metrics`` and an ``alembic_version`` of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

HEAD = "0006"  # the newest migration
VERSION_TABLE = "retrue_version"
IN_FLIGHT = text("state IN ('open', 'claimed', 'watching')")
UNRESOLVED = text("resolved_at IS NULL")


class UtcTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the ledger keeps aware times, not {value!r}")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SafeText(TypeDecorator[str]):
    """Text with NUL and lone surrogates escaped, which PostgreSQL and UTF-8 refuse."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _model(*, primary_key: bool = False) -> Column[str]:
    return Column("model", String(64), ForeignKey("retrue_models.name"), nullable=False, primary_key=primary_key)


models = Table(
    "retrue_models",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("champion", SafeText),
)

windows = Table(
    "retrue_windows",
    metadata,
    Column("id", Integer, primary_key=True),
    _model(),
    Column("start_at", UtcTime, nullable=False),
    Column("end_at", UtcTime, nullable=False),
    Column("token", Integer, nullable=False),
    UniqueConstraint("model", "start_at", "end_at"),
)

revisions = Table(
    "retrue_revisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("window_id", Integer, ForeignKey("retrue_windows.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("key", String(32), nullable=False, unique=True),
    Column("outcome", String(16), nullable=False),
    Column("model_version", SafeText, nullable=False),
    Column("verdict", JSON, nullable=False),
    Column("unmeasured", JSON, nullable=False),
    Column("decision", JSON, nullable=False),
    Column("step", Integer, nullable=False),
    Column("report_dir", SafeText, nullable=False),
    Column("flow_run_url", SafeText, nullable=False),
    Column("mlflow_run_id", SafeText),
    Column("judged_at", UtcTime, nullable=False),
    UniqueConstraint("window_id", "number"),
)

digests = Table(
    "retrue_digests",
    metadata,
    Column("id", Integer, primary_key=True),
    _model(),
    Column("made_at", UtcTime, nullable=False),
)

findings = Table(
    "retrue_findings",
    metadata,
    Column("revision_id", Integer, ForeignKey("retrue_revisions.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", String(32), nullable=False),
    Column("check_name", SafeText, nullable=False),
    Column("scope", SafeText, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("message", SafeText, nullable=False),
    Column("excess", Double),
    Column("digest_id", Integer, ForeignKey("retrue_digests.id")),
    Index("ix_retrue_findings_undigested", "severity", "digest_id"),
)

metrics = Table(
    "retrue_metrics",
    metadata,
    Column("revision_id", Integer, ForeignKey("retrue_revisions.id"), primary_key=True),
    Column("name", SafeText, primary_key=True),
    Column("value", Double, nullable=False),
)

incidents = Table(
    "retrue_incidents",
    metadata,
    Column("fingerprint", String(32), primary_key=True),
    _model(),
    Column("check_name", SafeText, nullable=False),
    Column("scope", SafeText, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("message", SafeText, nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened_window", UtcTime, nullable=False),
    Column("last_window", UtcTime, nullable=False),
    Column("last_notified_at", UtcTime),
    Column("attempt", Integer, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("flapping", Boolean, nullable=False),
    Column("told", JSON, nullable=False),
    Column("acknowledged_by", SafeText),
    Column("acknowledged_at", UtcTime),
    Index("ix_retrue_incidents_model_state", "model", "state"),
)

incident_changes = Table(
    "retrue_incident_changes",
    metadata,
    Column("fingerprint", String(32), ForeignKey("retrue_incidents.fingerprint"), primary_key=True),
    Column("revision_id", Integer, ForeignKey("retrue_revisions.id"), primary_key=True),
    Column("change", String(16), nullable=False),
    Column("episode", Integer, nullable=False),
    Column("severity", String(16), nullable=False),
)

failure_groups = Table(
    "retrue_failure_groups",
    metadata,
    _model(primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("title", SafeText, nullable=False),
    Column("error_type", SafeText, nullable=False),
    Column("message", SafeText, nullable=False),
    Column("frames", JSON, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("kind", SafeText, nullable=False),
    Column("described_window", UtcTime, nullable=False),  # the newest window with it: its text is the one kept
)

failure_windows = Table(
    "retrue_failure_windows",
    metadata,
    Column("revision_id", Integer, ForeignKey("retrue_revisions.id"), primary_key=True),
    Column("inferences", Double, nullable=False),
)

failure_counts = Table(
    "retrue_failure_counts",
    metadata,
    Column("revision_id", Integer, ForeignKey("retrue_revisions.id"), primary_key=True),
    Column("group_id", String(64), primary_key=True),
    Column("rows", Integer, nullable=False),
    Column("failures", Double, nullable=False),
    Column("share", Double, nullable=False),
    Column("first_at", UtcTime, nullable=False),
    Column("last_at", UtcTime, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("endpoints", JSON, nullable=False),
    Column("histogram", JSON, nullable=False),
    Column("samples", JSON, nullable=False),
    Column("traces", JSON, nullable=False),
    Column("inputs", JSON, nullable=False),
    Index("ix_retrue_failure_counts_group_id", "group_id"),
)

mutes = Table(
    "retrue_mutes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", String(32), ForeignKey("retrue_incidents.fingerprint"), nullable=False),
    Column("until", UtcTime),  # empty while it lasts until the incident escalates
    Column("reason", SafeText, nullable=False),
    Column("muted_by", SafeText, nullable=False),
    Column("muted_at", UtcTime, nullable=False),
)

requests = Table(
    "retrue_requests",
    metadata,
    Column("id", String(128), primary_key=True),
    _model(),
    Column("revision_id", Integer, ForeignKey("retrue_revisions.id")),
    Column("cause", JSON, nullable=False),
    Column("fingerprint", String(32), nullable=False),
    Column("as_of", UtcTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("token", Integer, nullable=False),
    Column("reason", SafeText, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("stale_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    Index("uq_retrue_requests_in_flight", "model", unique=True, sqlite_where=IN_FLIGHT, postgresql_where=IN_FLIGHT),
    Index("ix_retrue_requests_model_as_of", "model", "as_of"),
)

versions = Table(
    "retrue_versions",
    metadata,
    Column("model", String(64), ForeignKey("retrue_models.name"), primary_key=True),
    Column("version", SafeText, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("kind", SafeText, nullable=False),
    Column("run_id", SafeText, nullable=False),
    Column("registered_at", UtcTime, nullable=False),
)

baselines = Table(
    "retrue_baselines",
    metadata,
    Column("id", Integer, primary_key=True),
    _model(),
    Column("version", SafeText, nullable=False),
    Column("digest", SafeText, nullable=False),
    Column("registered_at", UtcTime, nullable=False),
)

promotions = Table(
    "retrue_promotions",
    metadata,
    Column("id", Integer, primary_key=True),
    _model(),
    Column("version", SafeText, nullable=False),
    Column("from_version", SafeText),
    Column("action", String(16), nullable=False),
    Column("reason", SafeText, nullable=False),
    Column("actor", SafeText, nullable=False),
    Column("request_id", String(128), ForeignKey("retrue_requests.id"), unique=True),
    Column("gate", JSON, nullable=False),
    Column("promoted_at", UtcTime, nullable=False),
)

trials = Table(
    "retrue_trials",
    metadata,
    Column("request_id", String(128), ForeignKey("retrue_requests.id"), primary_key=True),
    _model(),
    Column("kind", String(16), nullable=False),
    Column("version", SafeText, nullable=False),
    Column("champion", SafeText, nullable=False),
    Column("rows_from", UtcTime, nullable=False),
    Column("fresh_from", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
    Column("looks", JSON, nullable=False),
)

probations = Table(
    "retrue_probations",
    metadata,
    Column("promotion_id", Integer, ForeignKey("retrue_promotions.id"), primary_key=True),
    _model(),
    Column("version", SafeText, nullable=False),
    Column("previous", SafeText, nullable=False),
    Column("rows_from", UtcTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", SafeText, nullable=False),
    Column("looks", JSON, nullable=False),
    Column("ended_as_of", UtcTime),  # on the clock of the data
    Column("closed_at", UtcTime),
    Index("ix_retrue_probations_model_state", "model", "state"),
)

outbox = Table(
    "retrue_outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    _model(),
    Column("kind", String(32), nullable=False),
    Column("lane", SafeText),
    Column("dedup_key", SafeText, nullable=False, unique=True),
    Column("payload", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcTime, nullable=False),
    Column("leased_by", SafeText),
    Column("leased_until", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("deadline_at", UtcTime, nullable=False),
    Column("done_at", UtcTime),
    Column("result", JSON),
    Column("error", SafeText, nullable=False),
    Index("ix_retrue_outbox_state_next_attempt_at", "state", "next_attempt_at"),
    Index("ix_retrue_outbox_lane_state", "lane", "state"),
)

complaints = Table(
    "retrue_complaints",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model", String(64), nullable=False),  # empty where it concerns the whole project
    Column("check_name", SafeText, nullable=False),
    Column("subject", SafeText, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("message", SafeText, nullable=False),
    Column("next_step", SafeText, nullable=False),
    Column("told", JSON, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("resolved_at", UtcTime),
    Index(
        "uq_retrue_complaints_open",
        "model",
        "check_name",
        "subject",
        unique=True,
        sqlite_where=UNRESOLVED,
        postgresql_where=UNRESOLVED,
    ),
)

purges = Table(
    "retrue_purges",
    metadata,
    Column("id", Integer, primary_key=True),
    _model(),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("planned", JSON, nullable=False),
    Column("removed", JSON, nullable=False),
    Column("oldest_kept", JSON, nullable=False),
)

erasures = Table(
    "retrue_erasures",
    metadata,
    Column("id", Integer, primary_key=True),
    _model(),
    Column("salt", String(64), nullable=False),
    Column("columns", JSON, nullable=False),
    Column("subjects", JSON, nullable=False),  # salted digests, never what a subject is called
    Column("asked_by", SafeText, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("removed", JSON, nullable=False),
    Column("left", JSON, nullable=False),
)

tombstones = Table(
    "retrue_tombstones",
    metadata,
    Column("erasure_id", Integer, ForeignKey("retrue_erasures.id"), primary_key=True),
    Column("digest", String(64), primary_key=True),
)
