-- Let conversations (locked by this transaction) do what their timers say. The rule is `next_timer`
-- in app/rules/timers.py; tests hold the two against each other. A row whose time has not come was
-- armed lazily: it is armed anew, which is no change of the conversation.
WITH timer AS (
  SELECT sid, state AS state_from, greatest(active_at, state_at) AS since,
    nullif(inactive_timer_s, 0) AS inactive_s, nullif(closed_timer_s, 0) AS closed_s
  FROM conversations WHERE sid = ANY ($1::text[])
), aimed AS (
  SELECT *, CASE
    WHEN state_from = 'active' AND inactive_s IS NOT NULL THEN 'inactive'
    WHEN state_from IN ('active', 'inactive') AND closed_s IS NOT NULL THEN 'closed' END AS state_to
  FROM timer
), judged AS (
  SELECT *, since + make_interval(secs => CASE state_to
    WHEN 'inactive' THEN inactive_s WHEN 'closed' THEN closed_s END) AS due
  FROM aimed
), pair AS (
  -- What closes frees its pairs. Locks come pairs first, so whoever holds one may be waiting for us.
  SELECT b.participant_sid, b.conversation_sid
  FROM bindings b JOIN judged j ON j.sid = b.conversation_sid
  WHERE b.open AND j.state_to = 'closed' AND j.due <= $2
  FOR UPDATE OF b SKIP LOCKED
), grouped AS (
  -- So is what it is as a group text.
  SELECT g.conversation_sid
  FROM number_groups g JOIN judged j ON j.sid = g.conversation_sid
  WHERE g.open AND j.state_to = 'closed' AND j.due <= $2
  FOR UPDATE OF g SKIP LOCKED
), disputed AS (
  -- Such a conversation stays as it is until the next turn.
  SELECT j.sid FROM judged j JOIN bindings b ON b.conversation_sid = j.sid
  WHERE b.open AND j.state_to = 'closed' AND j.due <= $2
    AND NOT EXISTS (SELECT FROM pair p WHERE p.participant_sid = b.participant_sid)
  UNION
  SELECT j.sid FROM judged j JOIN number_groups g ON g.conversation_sid = j.sid
  WHERE g.open AND j.state_to = 'closed' AND j.due <= $2
    AND NOT EXISTS (SELECT FROM grouped n WHERE n.conversation_sid = g.conversation_sid)
), free AS (
  SELECT *, coalesce(due <= $2, false) AS rings FROM judged
  WHERE sid NOT IN (SELECT sid FROM disputed)
), freed AS (
  UPDATE bindings b SET open = false
  FROM pair p JOIN free f ON f.sid = p.conversation_sid
  WHERE b.participant_sid = p.participant_sid
), disbanded AS (
  UPDATE number_groups g SET open = false
  FROM grouped n JOIN free f ON f.sid = n.conversation_sid
  WHERE g.conversation_sid = n.conversation_sid
)
UPDATE conversations c SET
  state = CASE WHEN f.rings THEN f.state_to ELSE c.state END,
  state_at = CASE WHEN f.rings THEN $2 ELSE c.state_at END,
  date_updated = CASE WHEN f.rings THEN $2 ELSE c.date_updated END,
  revision = c.revision + f.rings::int,
  next_timer_at = CASE
    WHEN NOT f.rings THEN f.due
    WHEN f.state_to = 'inactive' THEN greatest(c.active_at, $2) + make_interval(secs => f.closed_s)
  END
FROM free f WHERE c.sid = f.sid
RETURNING c.*, f.state_from, f.due, f.rings
