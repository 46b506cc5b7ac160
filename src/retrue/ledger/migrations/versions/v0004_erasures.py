"""People who were erased, as salted digests, so that a replay does not bring them back."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "retrue_erasures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("subjects", sa.JSON(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed", sa.JSON(), nullable=False),
        sa.Column("left", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["retrue_models.name"], name=op.f("fk_retrue_erasures_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrue_erasures")),
    )
    op.create_table(
        "retrue_tombstones",
        sa.Column("erasure_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["erasure_id"], ["retrue_erasures.id"], name=op.f("fk_retrue_tombstones_erasure_id")),
        sa.PrimaryKeyConstraint("erasure_id", "digest", name=op.f("pk_retrue_tombstones")),
    )
