-- Endpoints ($1, in their order) that get a queue of their own, or whose queue is to be looked at
-- again. Their rows are locked either way: a queue does not go while lanes come into it. The URL is
-- that of a lane ($2) which leads there.
INSERT INTO hook_endpoints AS e (endpoint, account_sid, url, next_at)
SELECT g.endpoint, h.account_sid, regexp_replace(split_part(split_part(h.url, '#', 1), '?', 1),
  '://[^/@]*@', '://'), $3::timestamptz
FROM unnest($1::text[], $2::text[]) AS g (endpoint, lane)
CROSS JOIN LATERAL (
  SELECT account_sid, url FROM outbox
  WHERE lane >= g.lane COLLATE "C" AND lane <= g.lane COLLATE "C" ORDER BY lane, seq LIMIT 1) h
ORDER BY g.endpoint COLLATE "C"
ON CONFLICT (endpoint) DO UPDATE
  SET next_at = greatest(coalesce(e.paused_until, excluded.next_at), excluded.next_at)
  WHERE e.next_at > greatest(coalesce(e.paused_until, excluded.next_at), excluded.next_at)
