-- Everything that a convoy made, in one statement.
WITH message AS (
  INSERT INTO messages (
    sid, account_sid, chat_service_sid, conversation_sid, index, author, participant_sid, body,
    subject, attributes, content_sid, content_variables, content_type, content, channel_metadata,
    source, revision, date_created, date_updated)
  SELECT sid, account_sid, chat_service_sid, conversation_sid, index, author, participant_sid, body,
    subject, attributes, content_sid, content_variables, content_type, content, channel_metadata,
    source, revision, coalesce(date_created, $8), coalesce(date_updated, $8)
  FROM json_to_recordset($1::text::json) AS m (
    sid text, account_sid text, chat_service_sid text, conversation_sid text, index int,
    author text, participant_sid text, body text, subject text, attributes text, content_sid text,
    content_variables text, content_type text, content text, channel_metadata jsonb, source text,
    revision bigint,
    date_created timestamptz, date_updated timestamptz)
), conversation AS (
  UPDATE conversations c SET message_count = n.message_count, revision = n.revision,
    active_at = $8, date_updated = $8,
    state = coalesce(n.state, c.state), state_at = coalesce(n.state_at, c.state_at),
    next_timer_at = CASE WHEN n.state IS NULL THEN c.next_timer_at ELSE n.next_timer_at END
  FROM json_to_recordset($2::text::json) AS n (
    sid text, message_count int, revision bigint, state text, state_at timestamptz, next_timer_at timestamptz)
  WHERE c.sid = n.sid COLLATE "C"
), receipt AS (
  INSERT INTO receipts (
    sid, account_sid, chat_service_sid, conversation_sid, message_sid, participant_sid, channel,
    address, proxy_address, carrier, status, error_code, error_message, dropped, parts,
    date_created, date_updated)
  SELECT sid, account_sid, chat_service_sid, conversation_sid, message_sid, participant_sid,
    channel, address, proxy_address, carrier, status, error_code, error_message, dropped, parts,
    $8, $8
  FROM json_to_recordset($3::text::json) AS r (
    sid text, account_sid text, chat_service_sid text, conversation_sid text, message_sid text,
    participant_sid text, channel text, address text, proxy_address text, carrier text,
    status text, error_code int, error_message text, dropped text, parts jsonb)
), decision AS (
  INSERT INTO decisions (
    sid, account_sid, carrier, external_id, address, proxy_address, signature, rule, outcome,
    reason, steps, conversation_sid, message_sid, digest, received_at, recovered, sent_at)
  SELECT sid, account_sid, carrier, external_id, address, proxy_address, signature, rule, outcome,
    reason, steps, conversation_sid, message_sid, digest, $8, coalesce(recovered, false), sent_at
  FROM json_to_recordset($4::text::json) AS d (
    sid text, account_sid text, carrier text, external_id text, address text, proxy_address text,
    signature text, rule text, outcome text, reason text, steps jsonb, conversation_sid text,
    message_sid text, digest text, recovered boolean, sent_at timestamptz)
), medium AS (
  INSERT INTO media AS o (
    sid, account_sid, chat_service_sid, conversation_sid, message_sid, position, content_type,
    filename, size, source_url, status, error, file_key, date_created, date_updated)
  SELECT sid, account_sid, chat_service_sid, conversation_sid, message_sid, position, content_type,
    filename, size, source_url, status, error, file_key, $8, $8
  FROM json_to_recordset($5::text::json) AS f (
    sid text, account_sid text, chat_service_sid text, conversation_sid text, message_sid text,
    position int, content_type text, filename text, size bigint, source_url text, status text,
    error text, file_key text)
  ON CONFLICT (sid) DO UPDATE SET conversation_sid = excluded.conversation_sid,
    message_sid = excluded.message_sid, position = excluded.position, date_updated = $8
), unkept AS (
  UPDATE inbox i SET message_sid = NULL, payload = u.payload
  FROM json_to_recordset($6::text::json) AS u (carrier text, external_id text, payload jsonb)
  WHERE i.carrier = u.carrier AND i.external_id = u.external_id
), {standing}{items}