-- Let lanes go on whose head is gone. One without items has no row. (Its row is locked, so nobody is
-- adding to it.)
WITH gone AS (
  DELETE FROM lanes l WHERE l.lane = ANY ($1::text[])
    AND (SELECT o.seq FROM outbox o WHERE o.lane = l.lane LIMIT 1) IS NULL
)
UPDATE lanes l SET lease = NULL, slot_at = NULL, due = $2
WHERE l.lane = ANY ($1::text[])
  AND (SELECT o.seq FROM outbox o WHERE o.lane = l.lane LIMIT 1) IS NOT NULL
