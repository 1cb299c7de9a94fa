-- Enter inbounds into the ledger, claim pairs, and move the other conversations on, in the order of their
-- SIDs; then check that all was as it was read: each inbound new, each pair free, each conversation at its
-- revision. If not, it divides by zero, and so undoes all of itself.
-- What takes locks waits for what comes before it, and the check asks in that order. What is added to
-- lanes, which the main statement does, waits for the check (`only` in outbox_add.sql), and all that no
-- other part reads (messages, receipts, ...) is done by PostgreSQL after the main statement.
-- touched: how many conversations are moved on (`moved`: road_move.sql); begun: those that begin, as
-- JSON. Parts between (more) and (/more) are left out where none begins.
entered AS (
  INSERT INTO inbox (carrier, external_id, account_sid, message_sid, payload, received_at)
  SELECT carrier, external_id, account_sid, message_sid, payload, $6 FROM judged
  ORDER BY carrier, external_id
  ON CONFLICT DO NOTHING
  RETURNING 1
-- (more)
), asked AS MATERIALIZED (
  SELECT * FROM json_to_recordset({begun}::text::json) AS n (
    sid text, account_sid text, chat_service_sid text, messaging_service_sid text,
    friendly_name text, participant_sid text, channel text, address text, proxy_address text,
    role_sid text, inactive_timer_s int, closed_timer_s int, next_timer_at timestamptz,
    message_count int, revision bigint)
), claimed AS (
  INSERT INTO bindings (account_sid, proxy_address, address, conversation_sid, participant_sid)
  SELECT account_sid, proxy_address, address, sid, participant_sid FROM asked
  WHERE (SELECT count(*) FROM entered) >= 0  -- after the ledger
  ORDER BY account_sid, proxy_address, address
  ON CONFLICT (account_sid, proxy_address, address) WHERE open DO NOTHING
  RETURNING 1
-- (/more)
), {moved}checked AS MATERIALIZED (
  SELECT 1 / ((SELECT count(*) FROM entered) = (SELECT count(*) FROM judged)
-- (more)
    AND (SELECT count(*) FROM claimed) = (SELECT count(*) FROM asked)
-- (/more)
    AND (SELECT count(*) FROM conversation) = {touched}::int)::int AS ok
-- (more)
), born AS (
  INSERT INTO conversations (
    sid, account_sid, chat_service_sid, messaging_service_sid, friendly_name, state, inactive_timer_s,
    closed_timer_s, active_at, state_at, next_timer_at, message_count, revision, date_created,
    date_updated)
  SELECT sid, account_sid, chat_service_sid, messaging_service_sid, friendly_name, 'active',
    inactive_timer_s, closed_timer_s, $6, $6, next_timer_at, message_count, revision, $6, $6
  FROM asked
), newcomer AS (
  INSERT INTO participants (
    sid, account_sid, chat_service_sid, conversation_sid, channel, address, proxy_address,
    role_sid, date_created, date_updated)
  SELECT participant_sid, account_sid, chat_service_sid, sid, channel, address, proxy_address,
    role_sid, $6, $6
  FROM asked
-- (/more)
),
