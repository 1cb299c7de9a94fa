-- Start an attempt of the head of each lane. A head that is still marked as started had an attempt
-- whose outcome is unknown; the mark keeps the time of the first such attempt.
UPDATE outbox o SET attempts = o.attempts + 1, started_at = coalesce(o.started_at, $2)
FROM (
  SELECT h.place, h.started_at AS unknown_since
  FROM unnest($1::text[]) AS l (lane)
  CROSS JOIN LATERAL (
    SELECT ctid AS place, started_at FROM outbox
    WHERE lane >= l.lane COLLATE "C" AND lane <= l.lane COLLATE "C" ORDER BY lane, seq LIMIT 1) h
) head
WHERE o.ctid = head.place
RETURNING o.seq, o.lane, o.kind, o.account_sid, o.conversation_sid, o.message_sid, o.receipt_sid,
  o.event, o.scope, o.url, o.method, o.params::text, o.retries_max, o.token, o.attempts,
  head.unknown_since, o.created_at, $2::timestamptz AS started_at
