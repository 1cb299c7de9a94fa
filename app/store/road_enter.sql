-- Enter inbounds into the ledger and resolve their pairs. A row for each: whether it is new, who holds
-- its pair, and, when nobody does, the configuration of our address.
WITH given AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
    AS i (carrier, external_id, account_sid, message_sid, proxy_address, address)
), entered AS (
  INSERT INTO inbox (carrier, external_id, account_sid, message_sid, received_at)
  SELECT carrier, external_id, account_sid, message_sid, $7 FROM given
  ORDER BY carrier, external_id
  ON CONFLICT DO NOTHING
  RETURNING carrier, external_id
)
SELECT i.carrier, i.external_id,
  (i.carrier, i.external_id) IN (SELECT carrier, external_id FROM entered) AS new,
  b.conversation_sid, b.participant_sid,
  CASE WHEN b.conversation_sid IS NULL THEN to_json(a)::text END AS configuration,
  {asked}
FROM given i
LEFT JOIN bindings b ON b.account_sid = i.account_sid COLLATE "C"
  AND b.proxy_address = i.proxy_address AND b.address = i.address AND b.open
LEFT JOIN address_configurations a ON a.account_sid = i.account_sid COLLATE "C"
  AND a.address = i.proxy_address
