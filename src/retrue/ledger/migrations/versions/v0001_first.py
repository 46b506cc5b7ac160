"""The first tables: windows, incidents, requests, models, digests and the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "retrue_models",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("champion", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_retrue_models")),
    )
    op.create_table(
        "retrue_baselines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["retrue_models.name"], name=op.f("fk_retrue_baselines_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrue_baselines")),
    )
    op.create_table(
        "retrue_digests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["retrue_models.name"], name=op.f("fk_retrue_digests_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrue_digests")),
    )
    op.create_table(
        "retrue_incidents",
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("check_name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("opened_window", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_window", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_notified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("flapping", sa.Boolean(), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["model"], ["retrue_models.name"], name=op.f("fk_retrue_incidents_model")),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_retrue_incidents")),
    )
    op.create_index("ix_retrue_incidents_model_state", "retrue_incidents", ["model", "state"], unique=False)
    op.create_table(
        "retrue_outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("lane", sa.Text(), nullable=True),
        sa.Column("dedup_key", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_by", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["retrue_models.name"], name=op.f("fk_retrue_outbox_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrue_outbox")),
        sa.UniqueConstraint("dedup_key", name=op.f("uq_retrue_outbox_dedup_key")),
    )
    op.create_index("ix_retrue_outbox_lane_state", "retrue_outbox", ["lane", "state"], unique=False)
    op.create_index(
        "ix_retrue_outbox_state_next_attempt_at", "retrue_outbox", ["state", "next_attempt_at"], unique=False
    )
    op.create_table(
        "retrue_versions",
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["retrue_models.name"], name=op.f("fk_retrue_versions_model")),
        sa.PrimaryKeyConstraint("model", "version", name=op.f("pk_retrue_versions")),
    )
    op.create_table(
        "retrue_windows",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["retrue_models.name"], name=op.f("fk_retrue_windows_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrue_windows")),
        sa.UniqueConstraint("model", "start_at", "end_at", name=op.f("uq_retrue_windows_model_start_at_end_at")),
    )
    op.create_table(
        "retrue_mutes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("muted_by", sa.Text(), nullable=False),
        sa.Column("muted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["fingerprint"], ["retrue_incidents.fingerprint"], name=op.f("fk_retrue_mutes_fingerprint")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrue_mutes")),
    )
    op.create_table(
        "retrue_revisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("window_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("verdict", sa.JSON(), nullable=False),
        sa.Column("unmeasured", sa.JSON(), nullable=False),
        sa.Column("decision", sa.JSON(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("report_dir", sa.Text(), nullable=False),
        sa.Column("flow_run_url", sa.Text(), nullable=False),
        sa.Column("mlflow_run_id", sa.Text(), nullable=True),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["window_id"], ["retrue_windows.id"], name=op.f("fk_retrue_revisions_window_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrue_revisions")),
        sa.UniqueConstraint("key", name=op.f("uq_retrue_revisions_key")),
        sa.UniqueConstraint("window_id", "number", name=op.f("uq_retrue_revisions_window_id_number")),
    )
    op.create_table(
        "retrue_findings",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("check_name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("digest_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["digest_id"], ["retrue_digests.id"], name=op.f("fk_retrue_findings_digest_id")),
        sa.ForeignKeyConstraint(["revision_id"], ["retrue_revisions.id"], name=op.f("fk_retrue_findings_revision_id")),
        sa.PrimaryKeyConstraint("revision_id", "position", name=op.f("pk_retrue_findings")),
    )
    op.create_index("ix_retrue_findings_undigested", "retrue_findings", ["severity", "digest_id"], unique=False)
    op.create_table(
        "retrue_incident_changes",
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("change", sa.String(length=16), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["fingerprint"], ["retrue_incidents.fingerprint"], name=op.f("fk_retrue_incident_changes_fingerprint")
        ),
        sa.ForeignKeyConstraint(
            ["revision_id"], ["retrue_revisions.id"], name=op.f("fk_retrue_incident_changes_revision_id")
        ),
        sa.PrimaryKeyConstraint("fingerprint", "revision_id", name=op.f("pk_retrue_incident_changes")),
    )
    op.create_table(
        "retrue_metrics",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["retrue_revisions.id"], name=op.f("fk_retrue_metrics_revision_id")),
        sa.PrimaryKeyConstraint("revision_id", "name", name=op.f("pk_retrue_metrics")),
    )
    op.create_table(
        "retrue_requests",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("revision_id", sa.Integer(), nullable=True),
        sa.Column("cause", sa.JSON(), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stale_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["model"], ["retrue_models.name"], name=op.f("fk_retrue_requests_model")),
        sa.ForeignKeyConstraint(["revision_id"], ["retrue_revisions.id"], name=op.f("fk_retrue_requests_revision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrue_requests")),
    )
    op.create_index("ix_retrue_requests_model_as_of", "retrue_requests", ["model", "as_of"], unique=False)
    op.create_index(
        "uq_retrue_requests_in_flight",
        "retrue_requests",
        ["model"],
        unique=True,
        sqlite_where=sa.text("state IN ('open', 'claimed')"),
        postgresql_where=sa.text("state IN ('open', 'claimed')"),
    )
    op.create_table(
        "retrue_promotions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("from_version", sa.Text(), nullable=True),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.Column("gate", sa.JSON(), nullable=False),
        sa.Column("promoted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["retrue_models.name"], name=op.f("fk_retrue_promotions_model")),
        sa.ForeignKeyConstraint(["request_id"], ["retrue_requests.id"], name=op.f("fk_retrue_promotions_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrue_promotions")),
        sa.UniqueConstraint("request_id", name=op.f("uq_retrue_promotions_request_id")),
    )
