-- A backlog: the first message of each of $1 new conversations (of the account of the others), each
-- to the flow $2.
WITH made AS (
  INSERT INTO conversations (
    sid, account_sid, chat_service_sid, state, active_at, state_at, date_created, date_updated)
  SELECT 'CH' || replace(gen_random_uuid()::text, '-', ''), c.account_sid, c.chat_service_sid,
    'active', now(), now(), now(), now()
  FROM (SELECT account_sid, chat_service_sid FROM conversations ORDER BY sid LIMIT 1) c
  CROSS JOIN generate_series(1, $1::int)
  RETURNING sid, account_sid
), lane AS (
  INSERT INTO lanes (lane, kind, due)
  SELECT format('b:%s:%s', $2::text, sid), 'flow', now() FROM made
)
INSERT INTO outbox (
  lane, kind, token, account_sid, conversation_sid, event, scope, url, params, created_at)
SELECT format('b:%s:%s', $2::text, sid), 'flow', gen_random_uuid()::text, account_sid, sid,
  'onMessageAdded', 'studio', 'flow:' || $2::text,
  jsonb_build_object('EventType', 'onMessageAdded', 'ConversationSid', sid,
    'Body', 'Is the bicycle still for sale?', 'Author', '+15552000000'), now()
FROM made
