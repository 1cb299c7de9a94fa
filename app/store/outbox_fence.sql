-- Lock lanes in the order of their names and tell who holds them.
SELECT lane, lease FROM lanes WHERE lane = ANY ($1::text[]) ORDER BY lane FOR UPDATE
