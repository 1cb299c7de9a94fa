-- Conversations move on, in the order of their SIDs.
conversation AS (
  UPDATE conversations c SET message_count = n.message_count, revision = n.revision,
    active_at = $6, date_updated = $6,
    state = coalesce(n.state, c.state), state_at = coalesce(n.state_at, c.state_at),
    next_timer_at = CASE WHEN n.state IS NULL THEN c.next_timer_at ELSE n.next_timer_at END
  FROM (
    SELECT * FROM json_to_recordset($2::text::json) AS n (
      sid text, message_count int, revision bigint, seen bigint, state text, state_at timestamptz,
      next_timer_at timestamptz)
    {after}
    ORDER BY sid COLLATE "C") n
  WHERE c.sid = n.sid COLLATE "C" {unchanged}
  RETURNING 1
),
