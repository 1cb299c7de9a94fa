-- What is visible in the intake, in the order of the serials, to the end of its account's log.
WITH taken AS (
  DELETE FROM stream_intake WHERE serial = ANY (ARRAY (
    SELECT serial FROM stream_intake ORDER BY serial LIMIT $2))
  RETURNING *
), counted AS (
  SELECT account_sid, count(*) AS moved FROM taken GROUP BY account_sid
), head AS (
  INSERT INTO stream_heads AS h (account_sid, position)
  SELECT account_sid, moved FROM counted ORDER BY account_sid
  ON CONFLICT (account_sid) DO UPDATE SET position = h.position + excluded.position
  RETURNING account_sid, position
), logged AS (
  INSERT INTO stream_events (
    account_sid, position, id, type, about, data, happened_at, logged_at)
  SELECT t.account_sid, h.position - c.moved
      + row_number() OVER (PARTITION BY t.account_sid ORDER BY t.serial),
    t.id, t.type, t.about, t.data, t.happened_at, $1
  FROM taken t JOIN counted c ON c.account_sid = t.account_sid
    JOIN head h ON h.account_sid = t.account_sid
)
SELECT account_sid, moved FROM counted
