"""Failure groups and what each window counted of them; mutes that last until an incident escalates."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "retrue_failure_groups",
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("error_type", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("frames", sa.JSON(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("described_window", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["retrue_models.name"], name=op.f("fk_retrue_failure_groups_model")),
        sa.PrimaryKeyConstraint("model", "id", name=op.f("pk_retrue_failure_groups")),
    )
    op.create_table(
        "retrue_failure_windows",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("inferences", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["revision_id"], ["retrue_revisions.id"], name=op.f("fk_retrue_failure_windows_revision_id")
        ),
        sa.PrimaryKeyConstraint("revision_id", name=op.f("pk_retrue_failure_windows")),
    )
    op.create_table(
        "retrue_failure_counts",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Double(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("endpoints", sa.JSON(), nullable=False),
        sa.Column("histogram", sa.JSON(), nullable=False),
        sa.Column("samples", sa.JSON(), nullable=False),
        sa.Column("traces", sa.JSON(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["revision_id"], ["retrue_revisions.id"], name=op.f("fk_retrue_failure_counts_revision_id")
        ),
        sa.PrimaryKeyConstraint("revision_id", "group_id", name=op.f("pk_retrue_failure_counts")),
    )
    op.create_index("ix_retrue_failure_counts_group_id", "retrue_failure_counts", ["group_id"])
    with op.batch_alter_table("retrue_mutes") as mutes:  # SQLite makes the table anew: it cannot alter a column
        mutes.alter_column("until", existing_type=sa.DateTime(timezone=True), nullable=True)
