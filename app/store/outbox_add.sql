-- Items at the end of their lanes. All lanes are locked before the first sequence number is drawn; one
-- that is there already is locked without being written, unless its sender's pace was changed or its
-- webhooks lead somewhere else (then it leaves the queue of the place where they led before).
WITH incoming AS (
  SELECT * FROM ROWS FROM (json_to_recordset($1::text::json) AS (
    lane text, kind text, token text, account_sid text, conversation_sid text, message_sid text,
    receipt_sid text, sender text, event text, scope text, url text, method text, params jsonb,
    retries_max int, endpoint text)) WITH ORDINALITY{only}
), locked AS (
  INSERT INTO lanes AS l (lane, kind, due, sender, endpoint)
  SELECT DISTINCT ON (lane COLLATE "C") lane, kind, $2::timestamptz, sender, endpoint
  FROM incoming ORDER BY lane COLLATE "C"
  ON CONFLICT (lane) DO UPDATE
    SET sender = excluded.sender, endpoint = excluded.endpoint, kind = excluded.kind
    WHERE l.sender IS DISTINCT FROM excluded.sender
      OR l.endpoint IS DISTINCT FROM excluded.endpoint
  RETURNING lane
)
INSERT INTO outbox (
  lane, kind, token, account_sid, conversation_sid, message_sid, receipt_sid,
  event, scope, url, method, params, retries_max, created_at)
SELECT i.lane, i.kind, i.token, i.account_sid, i.conversation_sid, i.message_sid, i.receipt_sid,
  i.event, i.scope, i.url, i.method, i.params, i.retries_max, $2
FROM incoming i
WHERE (SELECT count(*) FROM locked) >= 0
ORDER BY i.ordinality
