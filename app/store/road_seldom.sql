-- What few convoys write, as a part of what is written: files, what the ledger keeps of those that made
-- nothing, and how people stand now: sessions that open, who opts out and in again. (These each in the
-- order of its key; to opt in writes only where somebody had opted out. What was said earlier, and
-- recovered, does not undo what was said since.)
medium AS (
  INSERT INTO media AS o (
    sid, account_sid, chat_service_sid, conversation_sid, message_sid, position, content_type,
    filename, size, source_url, status, error, file_key, date_created, date_updated)
  SELECT sid, account_sid, chat_service_sid, conversation_sid, message_sid, position, content_type,
    filename, size, source_url, status, error, file_key, $6, $6
  FROM json_to_recordset($7::text::json) AS f (
    sid text, account_sid text, chat_service_sid text, conversation_sid text, message_sid text,
    position int, content_type text, filename text, size bigint, source_url text, status text,
    error text, file_key text)
  ON CONFLICT (sid) DO UPDATE SET conversation_sid = excluded.conversation_sid,
    message_sid = excluded.message_sid, position = excluded.position, date_updated = $6
), unkept AS (
  UPDATE inbox i SET message_sid = NULL, payload = u.payload
  FROM json_to_recordset($8::text::json) AS u (carrier text, external_id text, payload jsonb)
  WHERE i.carrier = u.carrier AND i.external_id = u.external_id
), windowed AS (
  INSERT INTO messaging_windows AS w (account_sid, proxy_address, address, last_inbound_at)
  SELECT account_sid, proxy_address, address, last_inbound_at
  FROM json_to_recordset($9::text::json) AS s (
    account_sid text, proxy_address text, address text, last_inbound_at timestamptz)
  ORDER BY account_sid COLLATE "C", proxy_address, address
  ON CONFLICT (account_sid, proxy_address, address)
  DO UPDATE SET last_inbound_at = excluded.last_inbound_at
  WHERE w.last_inbound_at < excluded.last_inbound_at
), chosen AS (
  INSERT INTO opt_outs AS o (account_sid, address, sender, opted_out, word, date_updated)
  SELECT account_sid, address, sender, opted_out, word, coalesce(said_at, $6)
  FROM json_to_recordset($10::text::json) AS s (
    account_sid text, address text, sender text, opted_out boolean, word text,
    said_at timestamptz)
  WHERE s.opted_out OR EXISTS (SELECT FROM opt_outs k WHERE k.account_sid = s.account_sid COLLATE "C"
    AND k.address = s.address AND k.sender = s.sender)
  ORDER BY account_sid COLLATE "C", address, sender
  ON CONFLICT (account_sid, address, sender)
  DO UPDATE SET opted_out = excluded.opted_out, word = excluded.word,
    date_updated = excluded.date_updated
  WHERE o.opted_out <> excluded.opted_out
    AND (excluded.date_updated = $6 OR o.date_updated <= excluded.date_updated)
),
