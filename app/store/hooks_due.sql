-- Lanes of webhooks that are due, locked but not yet taken, and whether the endpoint that they lead to
-- has a queue of its own.
WITH taken AS (
  SELECT lane, endpoint, due FROM lanes WHERE kind = 'hook' AND due <= $1
  ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
)
SELECT d.lane, d.endpoint,
  (SELECT e.endpoint FROM hook_endpoints e
   WHERE e.endpoint >= d.endpoint AND e.endpoint <= d.endpoint
   ORDER BY e.endpoint LIMIT 1) IS NOT NULL AS apart
FROM taken d
ORDER BY d.due, d.lane
