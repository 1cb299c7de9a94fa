-- Enter inbounds into the ledger and resolve their pairs and number groups. A row for each: whether it
-- is new, who holds them, and, when nobody does, the configuration of our address.
WITH given AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::text[]) AS i (
      carrier, external_id, account_sid, message_sid, proxy_address, address, numbers)
), entered AS (
  INSERT INTO inbox (carrier, external_id, account_sid, message_sid, received_at)
  SELECT carrier, external_id, account_sid, message_sid, $8 FROM given
  ORDER BY carrier, external_id
  ON CONFLICT DO NOTHING
  RETURNING carrier, external_id
)
SELECT i.carrier, i.external_id,
  (i.carrier, i.external_id) IN (SELECT carrier, external_id FROM entered) AS new,
  {held}
FROM given i
{holders}
