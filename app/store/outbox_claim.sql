-- Lease lanes whose head is due, and tell of them in the order in which they became due. A leased lane
-- is due again when its lease ends.
WITH taken AS (
  SELECT lane, sender, slot_at, endpoint, due FROM lanes WHERE kind = $1 AND due <= $2
  ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED
), leased AS (
  UPDATE lanes SET lease = $4, due = $5 WHERE lane = ANY (ARRAY (SELECT lane FROM taken))
)
SELECT lane, sender, slot_at, endpoint FROM taken ORDER BY due
