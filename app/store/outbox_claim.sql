-- Lease lanes whose head is due. A leased lane is due again when its lease ends.
WITH due AS (
  SELECT lane FROM lanes WHERE kind = $1 AND due <= $2
  ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE lanes l SET lease = $4, due = $5 FROM due WHERE l.lane = due.lane
RETURNING l.lane, l.sender, l.slot_at, l.endpoint
