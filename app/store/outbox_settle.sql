-- Write the log of attempts, bury the dead, remove what is done, set the rest and their lanes on the
-- next try.
WITH given AS (
  SELECT * FROM json_to_recordset($1::text::json) AS e (
    seq bigint, kind text, number int, conversation_sid text, message_sid text, receipt_sid text,
    event text, target text, outcome text, status_code int, error_code int, detail text,
    external_id text, segments int, encoding text, started_at timestamptz, finished_at timestamptz,
    account_sid text, endpoint text, exchange jsonb,
    done boolean, due timestamptz, dead text, unknown boolean, lane text, now timestamptz,
    params jsonb, held text)
), ended AS MATERIALIZED (
  SELECT e.*, o.place FROM given e
  LEFT JOIN LATERAL (
    SELECT seq, ctid AS place FROM outbox WHERE (lane, seq) >= (e.lane COLLATE "C", e.seq)
    ORDER BY lane, seq LIMIT 1) o ON o.seq = e.seq
), logged AS (
  INSERT INTO attempts (
    kind, seq, number, conversation_sid, message_sid, receipt_sid, event, target, outcome,
    status_code, error_code, detail, external_id, segments, encoding, started_at, finished_at,
    account_sid, endpoint, exchange, next_at)
  SELECT kind, seq, number, conversation_sid, message_sid, receipt_sid, event, target, outcome,
    status_code, error_code, detail, external_id, segments, encoding, started_at, finished_at,
    account_sid, endpoint, exchange, CASE WHEN held IS NULL THEN due END
  FROM ended ORDER BY seq
), removed AS (
  DELETE FROM outbox o WHERE o.ctid = ANY (ARRAY (SELECT place FROM ended WHERE done))
  RETURNING o.*
), buried AS (
  INSERT INTO dead_letters (
    seq, lane, kind, account_sid, conversation_sid, message_sid, receipt_sid, event, scope, url,
    method, params, retries_max, token, attempts, created_at, reason, died_at, endpoint)
  SELECT r.seq, r.lane, r.kind, r.account_sid, r.conversation_sid, r.message_sid, r.receipt_sid,
    r.event, r.scope, r.url, r.method, r.params, r.retries_max, r.token, r.attempts, r.created_at,
    e.dead, e.now, e.endpoint
  FROM ended e CROSS JOIN LATERAL (SELECT * FROM removed WHERE seq = e.seq OFFSET 0) r
  WHERE e.dead IS NOT NULL
), again AS (
  UPDATE outbox o SET started_at = CASE WHEN e.unknown THEN o.started_at END,
    params = coalesce(e.params, o.params),
    attempts = CASE
      WHEN e.params IS NOT NULL THEN 0  -- it is about the next part now
      WHEN e.outcome = 'postponed' AND e.kind = 'delivery'
        THEN o.attempts - 1  -- nothing was attempted
      ELSE o.attempts END
  FROM ended e WHERE o.ctid = e.place AND NOT e.done
)
UPDATE lanes l SET lease = NULL, slot_at = NULL, due = e.due,
  kind = CASE WHEN e.held IS NULL THEN l.kind ELSE 'held' END,
  endpoint = coalesce(e.held, l.endpoint)
FROM ended e
WHERE l.lane = e.lane COLLATE "C" AND NOT e.done
  AND l.lane = ANY (ARRAY (SELECT lane FROM ended WHERE NOT done))
