"""what templates said: messages keep it as they were sent, for the SDKs.

Revision 0021, after 0020.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

COLUMNS = ("content_type", "content")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("messages", sa.Column(name, sa.String(), nullable=True), if_not_exists=True)


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("messages", name, if_exists=True)
