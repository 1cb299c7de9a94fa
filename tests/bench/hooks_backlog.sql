-- A backlog: $1 webhooks to the URL $3, whose endpoint is called $4, of the first $2 conversations, a
-- lane for each of those.
WITH item AS (
  SELECT c.account_sid, c.sid AS conversation_sid, format('h:WHbench:%s', c.sid) AS lane, n
  FROM (SELECT *, row_number() OVER (ORDER BY sid) - 1 AS place FROM conversations
        ORDER BY sid LIMIT $2) c
  CROSS JOIN LATERAL generate_series(place, $1::int - 1, $2::int) AS n
), lane AS (
  INSERT INTO lanes (lane, kind, due, endpoint)
  SELECT DISTINCT lane, 'hook', now(), $4::text FROM item
)
INSERT INTO outbox (
  lane, kind, token, account_sid, conversation_sid, event, scope, url, method, params, created_at)
SELECT lane, 'hook', gen_random_uuid()::text, account_sid, conversation_sid, 'onMessageAdded',
  'global', $3::text, 'POST',
  jsonb_build_object('EventType', 'onMessageAdded', 'ConversationSid', conversation_sid,
    'Body', 'Is the bicycle still for sale?', 'Index', n::text), now()
FROM item ORDER BY n
