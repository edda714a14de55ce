"""Posteriors that were pruned are marked; listing runs and the history of an answer have an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("files", sa.Column("pruned_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_runs_listing", "runs", ["as_of", "created_at"])
    op.create_index("ix_probabilities_wording", "probabilities", ["wording"])
