"""The ledger: what was judged, decided and sent. The only importer of SQLAlchemy and Alembic."""

from retrue.ledger.complaints import News
from retrue.ledger.erasures import Erasure
from retrue.ledger.failure_rows import Known
from retrue.ledger.ledger import Ledger
from retrue.ledger.probations import ProbationEnd
from retrue.ledger.purges import Receipt, Trace
from retrue.ledger.requests import UNCLAIMED_FOR
from retrue.ledger.values import (
    EXTERNAL,
    Digest,
    DigestItem,
    IncidentStep,
    IncidentStory,
    Look,
    ModelVersion,
    Mute,
    OutboxRow,
    Probation,
    Promotion,
    RetrainRequest,
    Revision,
    Trial,
)

__all__ = [
    "EXTERNAL",
    "UNCLAIMED_FOR",
    "Digest",
    "DigestItem",
    "Erasure",
    "IncidentStep",
    "IncidentStory",
    "Known",
    "Ledger",
    "Look",
    "ModelVersion",
    "Mute",
    "News",
    "OutboxRow",
    "Probation",
    "ProbationEnd",
    "Promotion",
    "Receipt",
    "RetrainRequest",
    "Revision",
    "Trace",
    "Trial",
]
