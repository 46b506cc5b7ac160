"""The ledger: what was judged, decided and sent. The only importer of SQLAlchemy and Alembic."""

from retrue.ledger.complaints import News
from retrue.ledger.erasures import Erasure
from retrue.ledger.failure_rows import Known
from retrue.ledger.ledger import Ledger
from retrue.ledger.purges import Receipt, Trace
from retrue.ledger.values import (
    EXTERNAL,
    Digest,
    DigestItem,
    IncidentStep,
    IncidentStory,
    ModelVersion,
    Mute,
    OutboxRow,
    Promotion,
    RetrainRequest,
    Revision,
)

__all__ = [
    "EXTERNAL",
    "Digest",
    "DigestItem",
    "Erasure",
    "IncidentStep",
    "IncidentStory",
    "Known",
    "Ledger",
    "ModelVersion",
    "Mute",
    "News",
    "OutboxRow",
    "Promotion",
    "Receipt",
    "RetrainRequest",
    "Revision",
    "Trace",
]
