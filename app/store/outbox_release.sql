-- A lane without items has no row. (Its row is locked, so nobody is adding to it.)
DELETE FROM lanes l WHERE l.lane = ANY ($1::text[]) AND l.due <= $2
  AND NOT EXISTS (SELECT FROM outbox o WHERE o.lane = l.lane)
