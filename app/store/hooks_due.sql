-- Lanes of webhooks that are due, locked but not yet taken, and whether the endpoint that they lead to
-- has a queue of its own.
SELECT d.lane, d.endpoint, e.endpoint IS NOT NULL AS apart
FROM (
  SELECT lane, endpoint, due FROM lanes WHERE kind = 'hook' AND due <= $1
  ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
) d
LEFT JOIN hook_endpoints e ON e.endpoint = d.endpoint
ORDER BY d.due, d.lane
