"""The first schema.

Revision 0001, after nothing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("default_chat_service_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("default_messaging_service_sid", sa.Text(collation="C")),
        sa.Column("default_inactive_timer_s", sa.Integer()),
        sa.Column("default_closed_timer_s", sa.Integer()),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sid", name="accounts_pkey"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("conversation_sid", sa.Text(collation="C")),
        sa.Column("message_sid", sa.Text(collation="C")),
        sa.Column("receipt_sid", sa.Text(collation="C")),
        sa.Column("event", sa.String()),
        sa.Column("target", sa.String()),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("status_code", sa.Integer()),
        sa.Column("error_code", sa.Integer()),
        sa.Column("detail", sa.String()),
        sa.Column("external_id", sa.String()),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="attempts_pkey"),
    )
    op.create_index("attempts_conversation", "attempts", ["conversation_sid", "id"])
    op.create_index("attempts_message", "attempts", ["message_sid"])
    op.create_table(
        "dead_letters",
        sa.Column("lane", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("conversation_sid", sa.Text(collation="C")),
        sa.Column("message_sid", sa.Text(collation="C")),
        sa.Column("receipt_sid", sa.Text(collation="C")),
        sa.Column("event", sa.String()),
        sa.Column("scope", sa.String()),
        sa.Column("url", sa.String()),
        sa.Column("method", sa.String()),
        sa.Column("params", postgresql.JSONB()),
        sa.Column("retries_max", sa.Integer()),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("died_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="dead_letters_pkey"),
    )
    op.create_index("dead_letters_conversation", "dead_letters", ["conversation_sid"])
    op.create_index("dead_letters_kind", "dead_letters", ["kind"])
    op.create_table(
        "decisions",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("carrier", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("proxy_address", sa.String(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("steps", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("conversation_sid", sa.Text(collation="C")),
        sa.Column("message_sid", sa.Text(collation="C")),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sid", name="decisions_pkey"),
    )
    op.create_index("decisions_conversation", "decisions", ["conversation_sid", "sid"])
    op.create_index("decisions_external", "decisions", ["carrier", "external_id"])
    op.create_index("decisions_message", "decisions", ["message_sid"])
    op.create_table(
        "early_statuses",
        sa.Column("carrier", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("error_code", sa.Integer()),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("carrier", "external_id", name="early_statuses_pkey"),
    )
    op.create_index("early_statuses_age", "early_statuses", ["received_at"])
    op.create_table(
        "inbox",
        sa.Column("carrier", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("message_sid", sa.Text(collation="C")),
        sa.Column("payload", postgresql.JSONB()),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("carrier", "external_id", name="inbox_pkey"),
    )
    op.create_table(
        "lanes",
        sa.Column("lane", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease", sa.String()),
        sa.Column("sender", sa.String()),
        sa.Column("slot_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("lane", name="lanes_pkey"),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("lanes_due", "lanes", ["kind", "due"])
    op.create_table(
        "outbox",
        sa.Column("lane", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("conversation_sid", sa.Text(collation="C")),
        sa.Column("message_sid", sa.Text(collation="C")),
        sa.Column("receipt_sid", sa.Text(collation="C")),
        sa.Column("event", sa.String()),
        sa.Column("scope", sa.String()),
        sa.Column("url", sa.String()),
        sa.Column("method", sa.String()),
        sa.Column("params", postgresql.JSONB()),
        sa.Column("retries_max", sa.Integer()),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="outbox_pkey"),
    )
    op.create_index("outbox_lane", "outbox", ["lane", "seq"])
    op.create_table(
        "address_configurations",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("friendly_name", sa.String()),
        sa.Column("address_country", sa.String()),
        sa.Column("auto_enabled", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("auto_type", sa.String(), nullable=False),
        sa.Column("auto_service_sid", sa.Text(collation="C")),
        sa.Column("auto_webhook_url", sa.String()),
        sa.Column("auto_webhook_method", sa.String()),
        sa.Column(
            "auto_webhook_filters", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("auto_studio_flow_sid", sa.Text(collation="C")),
        sa.Column("auto_studio_retry_count", sa.Integer()),
        sa.Column(
            "default_identities", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("declared_as", sa.String()),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_sid"],
            ["accounts.sid"],
            name="address_configurations_account_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sid", name="address_configurations_pkey"),
    )
    op.create_index(
        "address_configurations_address",
        "address_configurations",
        ["account_sid", "address"],
        unique=True,
    )
    op.create_table(
        "api_keys",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("friendly_name", sa.String()),
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["account_sid"], ["accounts.sid"], name="api_keys_account_sid_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sid", name="api_keys_pkey"),
    )
    op.create_index("api_keys_listing", "api_keys", ["account_sid", "sid"])
    op.create_table(
        "credentials",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("friendly_name", sa.String()),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("sandbox", sa.Boolean()),
        sa.Column("certificate", sa.String()),
        sa.Column("private_key", sa.String()),
        sa.Column("api_key", sa.String()),
        sa.Column("secret", sa.String()),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_sid"],
            ["accounts.sid"],
            name="credentials_account_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sid", name="credentials_pkey"),
    )
    op.create_index("credentials_listing", "credentials", ["account_sid", "sid"])
    op.create_table(
        "idempotency_keys",
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_sid"],
            ["accounts.sid"],
            name="idempotency_keys_account_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_sid", "key", name="idempotency_keys_pkey"),
    )
    op.create_index("idempotency_keys_age", "idempotency_keys", ["created_at"])
    op.create_table(
        "messaging_services",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("friendly_name", sa.String(), nullable=False),
        sa.Column("autocreate", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("declared_as", sa.String()),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_sid"],
            ["accounts.sid"],
            name="messaging_services_account_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sid", name="messaging_services_pkey"),
    )
    op.create_table(
        "senders",
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("carrier", sa.String(), nullable=False),
        sa.Column("messaging_service_sid", sa.Text(collation="C")),
        sa.Column("next_slot_at", sa.DateTime(timezone=True)),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["account_sid"], ["accounts.sid"], name="senders_account_sid_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_sid", "address", name="senders_pkey"),
    )
    op.create_table(
        "services",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("friendly_name", sa.String(), nullable=False),
        sa.Column("default_conversation_creator_role_sid", sa.Text(collation="C")),
        sa.Column("default_conversation_role_sid", sa.Text(collation="C")),
        sa.Column("default_chat_service_role_sid", sa.Text(collation="C")),
        sa.Column("reachability_enabled", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("notifications", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("declared_as", sa.String()),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_sid"], ["accounts.sid"], name="services_account_sid_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sid", name="services_pkey"),
    )
    op.create_index("services_listing", "services", ["account_sid", "date_created", "sid"])
    op.create_table(
        "conversations",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("chat_service_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("messaging_service_sid", sa.Text(collation="C")),
        sa.Column("friendly_name", sa.String()),
        sa.Column("unique_name", sa.String()),
        sa.Column("attributes", sa.Text(), server_default="{}", nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("inactive_timer_s", sa.Integer()),
        sa.Column("closed_timer_s", sa.Integer()),
        sa.Column("active_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_timer_at", sa.DateTime(timezone=True)),
        sa.Column("message_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_by", sa.String(), server_default="system", nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("email_address", sa.String()),
        sa.Column("email_name", sa.String()),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_sid"],
            ["accounts.sid"],
            name="conversations_account_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["chat_service_sid"],
            ["services.sid"],
            name="conversations_chat_service_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sid", name="conversations_pkey"),
        postgresql_with={"fillfactor": 90},
    )
    op.create_index(
        "conversations_listing",
        "conversations",
        ["chat_service_sid", sa.literal_column("date_created DESC"), sa.literal_column("sid DESC")],
    )
    op.create_index(
        "conversations_next_timer",
        "conversations",
        ["next_timer_at"],
        postgresql_where=sa.text("next_timer_at IS NOT NULL"),
    )
    op.create_index(
        "conversations_open",
        "conversations",
        [
            "chat_service_sid",
            "state",
            sa.literal_column("date_created DESC"),
            sa.literal_column("sid DESC"),
        ],
        postgresql_where=sa.text("state <> 'closed'"),
    )
    op.create_index(
        "conversations_unique_name",
        "conversations",
        ["chat_service_sid", "unique_name"],
        unique=True,
        postgresql_where=sa.text("unique_name IS NOT NULL"),
    )
    op.create_table(
        "push_bindings",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("chat_service_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("credential_sid", sa.Text(collation="C")),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("binding_type", sa.String(), nullable=False),
        sa.Column(
            "message_types", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["chat_service_sid"],
            ["services.sid"],
            name="push_bindings_chat_service_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sid", name="push_bindings_pkey"),
    )
    op.create_index(
        "push_bindings_by_identity", "push_bindings", ["chat_service_sid", "identity", "sid"]
    )
    op.create_index(
        "push_bindings_by_type", "push_bindings", ["chat_service_sid", "binding_type", "sid"]
    )
    op.create_index("push_bindings_listing", "push_bindings", ["chat_service_sid", "sid"])
    op.create_table(
        "roles",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("chat_service_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("friendly_name", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("permissions", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["chat_service_sid"],
            ["services.sid"],
            name="roles_chat_service_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sid", name="roles_pkey"),
    )
    op.create_index("roles_listing", "roles", ["chat_service_sid", "date_created", "sid"])
    op.create_table(
        "users",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("chat_service_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("friendly_name", sa.String()),
        sa.Column("attributes", sa.Text(), server_default="{}", nullable=False),
        sa.Column("role_sid", sa.Text(collation="C")),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["chat_service_sid"],
            ["services.sid"],
            name="users_chat_service_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sid", name="users_pkey"),
    )
    op.create_index("users_identity", "users", ["chat_service_sid", "identity"], unique=True)
    op.create_index("users_listing", "users", ["chat_service_sid", "date_created", "sid"])
    op.create_index("users_role", "users", ["role_sid"])
    op.create_table(
        "webhook_configurations",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("chat_service_sid", sa.Text(collation="C")),
        sa.Column("pre_url", sa.String()),
        sa.Column("post_url", sa.String()),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("filters", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("declared_as", sa.String()),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_sid"],
            ["accounts.sid"],
            name="webhook_configurations_account_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["chat_service_sid"],
            ["services.sid"],
            name="webhook_configurations_chat_service_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sid", name="webhook_configurations_pkey"),
    )
    op.create_index(
        "webhook_configurations_scope",
        "webhook_configurations",
        ["account_sid", sa.literal_column("coalesce(chat_service_sid, '')")],
        unique=True,
    )
    op.create_table(
        "messages",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("chat_service_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("conversation_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("participant_sid", sa.Text(collation="C")),
        sa.Column("body", sa.String()),
        sa.Column("subject", sa.String()),
        sa.Column("attributes", sa.Text(), server_default="{}", nullable=False),
        sa.Column("content_sid", sa.Text(collation="C")),
        sa.Column("content_variables", sa.String()),
        sa.Column("channel_metadata", postgresql.JSONB()),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_sid"],
            ["conversations.sid"],
            name="messages_conversation_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sid", name="messages_pkey"),
    )
    op.create_index("messages_index", "messages", ["conversation_sid", "index"], unique=True)
    op.create_index(
        "messages_text",
        "messages",
        [sa.literal_column("to_tsvector('simple', body)")],
        postgresql_using="gin",
        postgresql_where=sa.text("body IS NOT NULL"),
    )
    op.create_table(
        "participants",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("chat_service_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("conversation_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("identity", sa.String()),
        sa.Column("channel", sa.String()),
        sa.Column("address", sa.String()),
        sa.Column("proxy_address", sa.String()),
        sa.Column("projected_address", sa.String()),
        sa.Column("attributes", sa.Text(), server_default="{}", nullable=False),
        sa.Column("role_sid", sa.Text(collation="C")),
        sa.Column("notification_level", sa.String(), server_default="default", nullable=False),
        sa.Column("last_read_message_index", sa.Integer()),
        sa.Column("last_read_timestamp", sa.DateTime(timezone=True)),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_sid"],
            ["conversations.sid"],
            name="participants_conversation_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sid", name="participants_pkey"),
    )
    op.create_index(
        "participants_by_address",
        "participants",
        ["chat_service_sid", "address", "conversation_sid"],
        postgresql_where=sa.text("address IS NOT NULL"),
    )
    op.create_index(
        "participants_by_identity",
        "participants",
        ["chat_service_sid", "identity", "conversation_sid"],
        postgresql_where=sa.text("identity IS NOT NULL"),
    )
    op.create_index(
        "participants_external",
        "participants",
        ["conversation_sid"],
        postgresql_where=sa.text("address IS NOT NULL"),
    )
    op.create_index(
        "participants_identity",
        "participants",
        ["conversation_sid", "identity"],
        unique=True,
        postgresql_where=sa.text("identity IS NOT NULL"),
    )
    op.create_index("participants_listing", "participants", ["conversation_sid", "sid"])
    op.create_index("participants_role", "participants", ["role_sid"])
    op.create_table(
        "scoped_webhooks",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("chat_service_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("conversation_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("url", sa.String()),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("filters", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("triggers", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("flow_sid", sa.String()),
        sa.Column("retry_count", sa.Integer()),
        sa.Column("replay_after", sa.Integer()),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_sid"],
            ["conversations.sid"],
            name="scoped_webhooks_conversation_sid_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sid", name="scoped_webhooks_pkey"),
    )
    op.create_index("scoped_webhooks_listing", "scoped_webhooks", ["conversation_sid", "sid"])
    op.create_table(
        "bindings",
        sa.Column("participant_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("conversation_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("proxy_address", sa.String(), nullable=False),
        sa.Column("open", sa.Boolean(), server_default="true", nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_sid"],
            ["conversations.sid"],
            name="bindings_conversation_sid_fkey",
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["participant_sid"],
            ["participants.sid"],
            name="bindings_participant_sid_fkey",
            ondelete="CASCADE",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("participant_sid", name="bindings_pkey"),
    )
    op.create_index("bindings_conversation", "bindings", ["conversation_sid"])
    op.create_index(
        "bindings_open_pair",
        "bindings",
        ["account_sid", "proxy_address", "address"],
        unique=True,
        postgresql_where=sa.text("open"),
        postgresql_include=["conversation_sid", "participant_sid"],
    )
    op.create_table(
        "media",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("chat_service_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("message_sid", sa.Text(collation="C")),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("filename", sa.String()),
        sa.Column("size", sa.Integer()),
        sa.Column("source_url", sa.String()),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_sid"], ["messages.sid"], name="media_message_sid_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sid", name="media_pkey"),
    )
    op.create_index("media_message", "media", ["message_sid", "position"])
    op.create_table(
        "receipts",
        sa.Column("sid", sa.Text(collation="C"), nullable=False),
        sa.Column("account_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("chat_service_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("conversation_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("message_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("participant_sid", sa.Text(collation="C"), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("proxy_address", sa.String(), nullable=False),
        sa.Column("carrier", sa.String(), nullable=False),
        sa.Column("external_id", sa.String()),
        sa.Column("channel_message_sid", sa.String()),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("error_code", sa.Integer()),
        sa.Column("error_message", sa.String()),
        sa.Column("dropped", sa.String()),
        sa.Column("date_created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("date_updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_sid"], ["messages.sid"], name="receipts_message_sid_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sid", name="receipts_pkey"),
        postgresql_with={"fillfactor": 90},
    )
    op.create_index(
        "receipts_external",
        "receipts",
        ["carrier", "external_id"],
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_index("receipts_message", "receipts", ["message_sid", "sid"])


def downgrade() -> None:
    op.drop_table("receipts")
    op.drop_table("media")
    op.drop_table("bindings")
    op.drop_table("scoped_webhooks")
    op.drop_table("participants")
    op.drop_table("messages")
    op.drop_table("webhook_configurations")
    op.drop_table("users")
    op.drop_table("roles")
    op.drop_table("push_bindings")
    op.drop_table("conversations")
    op.drop_table("services")
    op.drop_table("senders")
    op.drop_table("messaging_services")
    op.drop_table("idempotency_keys")
    op.drop_table("credentials")
    op.drop_table("api_keys")
    op.drop_table("address_configurations")
    op.drop_table("outbox")
    op.drop_table("lanes")
    op.drop_table("inbox")
    op.drop_table("early_statuses")
    op.drop_table("decisions")
    op.drop_table("dead_letters")
    op.drop_table("attempts")
    op.drop_table("accounts")
