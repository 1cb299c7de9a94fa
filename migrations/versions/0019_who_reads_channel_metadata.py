"""who reads channel metadata: who may today, may tomorrow.

Until now every participant read what channels told about messages. From now on it takes the
permission readChannelMetadata, which the conversation roles that are there get.

Revision 0019, after 0018.
"""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

GIVE = """
UPDATE roles SET permissions = array_append(permissions, 'readChannelMetadata')
WHERE type = 'conversation' AND NOT 'readChannelMetadata' = ANY (permissions)
"""


def upgrade() -> None:
    op.execute(GIVE)


def downgrade() -> None:
    """Before, the permission could be given and meant nothing: it may stay."""
