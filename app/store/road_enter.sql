-- Enter inbounds into the ledger and resolve their pairs and number groups. A row for each: whether it
-- is new, who holds them, and, when nobody does, the configuration of our address.
WITH given AS (
  SELECT * FROM json_to_recordset($1::text::json) AS i (
    carrier text, external_id text, account_sid text, message_sid text, proxy_address text,
    address text, numbers text)
), entered AS (
  INSERT INTO inbox (carrier, external_id, account_sid, message_sid, received_at)
  SELECT carrier, external_id, account_sid, message_sid, $2 FROM given
  ORDER BY carrier, external_id
  ON CONFLICT DO NOTHING
  RETURNING carrier, external_id
)
SELECT i.carrier, i.external_id,
  (i.carrier, i.external_id) IN (SELECT carrier, external_id FROM entered) AS new,
  {held}
FROM given i
{holders}
