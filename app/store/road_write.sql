-- Everything that a convoy made, in one statement. Convoys that locked their conversations move them on
-- here; who walks lightly does it first, and checks them by it.
WITH judged AS (
  SELECT * FROM json_to_recordset($4::text::json) AS d (
    sid text, account_sid text, carrier text, external_id text, address text, proxy_address text,
    signature text, rule text, outcome text, reason text, steps jsonb, conversation_sid text,
    message_sid text, digest text, recovered boolean, sent_at timestamptz, payload jsonb)
), {first}message AS (
  INSERT INTO messages (
    sid, account_sid, chat_service_sid, conversation_sid, index, author, participant_sid, body,
    subject, attributes, content_sid, content_variables, content_type, content, channel_metadata,
    source, revision, date_created, date_updated)
  SELECT sid, account_sid, chat_service_sid, conversation_sid, index, author, participant_sid, body,
    subject, attributes, content_sid, content_variables, content_type, content, channel_metadata,
    source, revision, coalesce(date_created, $6), coalesce(date_updated, $6)
  FROM json_to_recordset($1::text::json) AS m (
    sid text, account_sid text, chat_service_sid text, conversation_sid text, index int,
    author text, participant_sid text, body text, subject text, attributes text, content_sid text,
    content_variables text, content_type text, content text, channel_metadata jsonb, source text,
    revision bigint,
    date_created timestamptz, date_updated timestamptz)
), {moved}receipt AS (
  INSERT INTO receipts (
    sid, account_sid, chat_service_sid, conversation_sid, message_sid, participant_sid, channel,
    address, proxy_address, carrier, status, error_code, error_message, dropped, parts,
    date_created, date_updated)
  SELECT sid, account_sid, chat_service_sid, conversation_sid, message_sid, participant_sid,
    channel, address, proxy_address, carrier, status, error_code, error_message, dropped, parts,
    $6, $6
  FROM json_to_recordset($3::text::json) AS r (
    sid text, account_sid text, chat_service_sid text, conversation_sid text, message_sid text,
    participant_sid text, channel text, address text, proxy_address text, carrier text,
    status text, error_code int, error_message text, dropped text, parts jsonb)
), decision AS (
  INSERT INTO decisions (
    sid, account_sid, carrier, external_id, address, proxy_address, signature, rule, outcome,
    reason, steps, conversation_sid, message_sid, digest, received_at, recovered, sent_at)
  SELECT sid, account_sid, carrier, external_id, address, proxy_address, signature, rule, outcome,
    reason, steps, conversation_sid, message_sid, digest, $6, coalesce(recovered, false), sent_at
  FROM judged
), {seldom}{items}