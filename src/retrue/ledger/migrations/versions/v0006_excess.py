"""How far a finding is beyond its threshold."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("retrue_findings", sa.Column("excess", sa.Double(), nullable=True))
