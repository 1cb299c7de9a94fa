-- How people stand now, as a part of what is written: sessions that open, who opts out and in again.
-- (Each in the order of its key; to opt in writes only where somebody had opted out. What was said
-- earlier, and recovered, does not undo what was said since.)
windowed AS (
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
  SELECT account_sid, address, sender, opted_out, word, coalesce(said_at, $8)
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
    AND (excluded.date_updated = $8 OR o.date_updated <= excluded.date_updated)
),
