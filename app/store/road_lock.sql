-- Lock conversations in the order of their SIDs, and who is in them and who is told. What is below a
-- conversation is read as it was before the lock: it still holds when `unchanged`, since whoever changes
-- it adds to the revision under the same lock.
WITH locked AS MATERIALIZED (
  SELECT * FROM conversations WHERE sid = ANY ($1::text[]) ORDER BY sid FOR NO KEY UPDATE
)
SELECT c.*,
  c.revision = (SELECT seen.revision FROM conversations seen WHERE seen.sid = c.sid) AS unchanged,
  {below}
FROM locked c
