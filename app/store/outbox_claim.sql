-- Lease lanes whose head is due. A leased lane is due again when its lease ends. Of those that keep a
-- pace also since when they were due: they take their turns in that order.
UPDATE lanes l SET lease = $4, due = $5
WHERE l.lane = ANY (ARRAY (
  SELECT lane FROM lanes WHERE kind = $1 AND due <= $2
  ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING l.lane, l.sender, l.slot_at, l.endpoint,
  CASE WHEN l.sender IS NOT NULL THEN (SELECT was.due FROM lanes was WHERE was.lane = l.lane) END AS since
