-- Turns of a rated sender: lanes line up behind the last turn given out. Those whose turn has come
-- stay leased and are returned; the others are due at their turn, without a lease. NULL: there is no
-- such sender any more.
WITH pace AS ({pace}), turn AS (
  SELECT l.lane, p.first + (l.n - 1) * make_interval(secs => $5) AS at
  FROM unnest($3::text[]) WITH ORDINALITY AS l (lane, n) CROSS JOIN pace p
){moved}, waiting AS (
  UPDATE lanes l SET due = t.at, slot_at = t.at, lease = NULL
  FROM turn t
  WHERE l.lane = t.lane COLLATE "C" AND t.at > $4 AND l.lane = ANY ($3::text[])
)
SELECT CASE WHEN EXISTS (SELECT FROM pace)
  THEN ARRAY (SELECT lane FROM turn WHERE at <= $4) END
