"""Challengers that wait for later windows, and versions on probation."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

IN_FLIGHT = sa.text("state IN ('open', 'claimed', 'watching')")


def upgrade() -> None:
    op.drop_index("uq_retrue_requests_in_flight", table_name="retrue_requests")
    op.create_index(
        "uq_retrue_requests_in_flight",
        "retrue_requests",
        ["model"],
        unique=True,
        sqlite_where=IN_FLIGHT,
        postgresql_where=IN_FLIGHT,
    )
    op.create_table(
        "retrue_trials",
        sa.Column("request_id", sa.String(length=128), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("champion", sa.Text(), nullable=False),
        sa.Column("rows_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fresh_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("looks", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["retrue_models.name"], name=op.f("fk_retrue_trials_model")),
        sa.ForeignKeyConstraint(["request_id"], ["retrue_requests.id"], name=op.f("fk_retrue_trials_request_id")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_retrue_trials")),
    )
    op.create_table(
        "retrue_probations",
        sa.Column("promotion_id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("rows_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("looks", sa.JSON(), nullable=False),
        sa.Column("ended_as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["model"], ["retrue_models.name"], name=op.f("fk_retrue_probations_model")),
        sa.ForeignKeyConstraint(
            ["promotion_id"], ["retrue_promotions.id"], name=op.f("fk_retrue_probations_promotion_id")
        ),
        sa.PrimaryKeyConstraint("promotion_id", name=op.f("pk_retrue_probations")),
    )
    op.create_index("ix_retrue_probations_model_state", "retrue_probations", ["model", "state"])
