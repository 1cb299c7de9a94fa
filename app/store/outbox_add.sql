-- Items at the end of their lanes; a lane's row is locked before its sequence numbers are drawn.
WITH incoming AS (
  SELECT * FROM json_to_recordset($1::text::json) AS i (
    n int, lane text, kind text, token text, account_sid text, conversation_sid text,
    message_sid text, receipt_sid text, sender text, event text, scope text, url text,
    method text, params jsonb, retries_max int)
), locked AS (
  INSERT INTO lanes AS l (lane, kind, due, sender)
  SELECT DISTINCT ON (lane COLLATE "C") lane, kind, $2::timestamptz, sender
  FROM incoming ORDER BY lane COLLATE "C"
  ON CONFLICT (lane) DO UPDATE SET kind = l.kind
  RETURNING lane
)
INSERT INTO outbox (
  lane, kind, token, account_sid, conversation_sid, message_sid, receipt_sid,
  event, scope, url, method, params, retries_max, created_at)
SELECT i.lane, i.kind, i.token, i.account_sid, i.conversation_sid, i.message_sid, i.receipt_sid,
  i.event, i.scope, i.url, i.method, i.params, i.retries_max, $2
FROM incoming i JOIN locked l ON l.lane = i.lane COLLATE "C"
ORDER BY i.n
