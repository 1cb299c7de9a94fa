"""what SDKs bring: signers of access tokens, authors of media, devices once.

Revision 0018, after 0017.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("sealed_secret", sa.String()))
    op.add_column("media", sa.Column("author", sa.String()))
    # Nothing has registered a device yet: the table is empty.
    op.create_index(
        "push_bindings_device",
        "push_bindings",
        ["chat_service_sid", "identity", "binding_type", "endpoint"],
        unique=True,
    )


def downgrade() -> None:
    op.drop_index("push_bindings_device", table_name="push_bindings")
    op.drop_column("media", "author")
    op.drop_column("api_keys", "sealed_secret")
