-- :conversations with a customer, a chat identity and a colleague each, their pairs, and :messages
-- in each. SIDs lie in the year 2001, in the order of creation.
-- name: conversations
INSERT INTO conversations (
  sid, account_sid, chat_service_sid, messaging_service_sid, inactive_timer_s, active_at, state_at,
  next_timer_at, message_count, state, date_created, date_updated)
SELECT pg_temp.sid('CH', i), a.sid, a.default_chat_service_sid, a.default_messaging_service_sid,
  864000, now(), now(), now() + make_interval(secs => 864000 + i % 100000), :messages, 'active',
  now() - make_interval(secs => :conversations - i), now()
FROM accounts a, generate_series(0, :conversations - 1) AS i ORDER BY i
-- name: participants
INSERT INTO participants (
  sid, account_sid, chat_service_sid, conversation_sid, identity, channel, address, proxy_address,
  date_created, date_updated)
SELECT pg_temp.sid('MB', 3 * i + k), a.sid, a.default_chat_service_sid, pg_temp.sid('CH', i),
  CASE k WHEN 1 THEN 'agent' END, CASE WHEN k <> 1 THEN 'sms' END,
  CASE k WHEN 0 THEN pg_temp.address('+1555', i) WHEN 2 THEN pg_temp.address('+1666', i) END,
  CASE k WHEN 0 THEN '+15005550006' WHEN 2 THEN '+15005550007' END, now(), now()
FROM accounts a, generate_series(0, :conversations - 1) AS i, generate_series(0, 2) AS k ORDER BY i, k
-- name: bindings
INSERT INTO bindings (participant_sid, conversation_sid, account_sid, address, proxy_address)
SELECT pg_temp.sid('MB', 3 * i + k), pg_temp.sid('CH', i), a.sid,
  pg_temp.address(CASE k WHEN 0 THEN '+1555' ELSE '+1666' END, i),
  CASE k WHEN 0 THEN '+15005550006' ELSE '+15005550007' END
FROM accounts a, generate_series(0, :conversations - 1) AS i, generate_series(0, 2, 2) AS k ORDER BY i, k
-- name: messages
INSERT INTO messages (
  sid, account_sid, chat_service_sid, conversation_sid, index, author, participant_sid, body,
  source, date_created, date_updated)
SELECT pg_temp.sid('IM', n * :conversations + i), a.sid, a.default_chat_service_sid, pg_temp.sid('CH', i), n,
  pg_temp.address('+1555', i), pg_temp.sid('MB', 3 * i), 'Is the bicycle still for sale?', 'SMS',
  now(), now()
FROM accounts a, generate_series(0, :messages - 1) AS n, generate_series(0, :conversations - 1) AS i ORDER BY n, i
-- name: inbox
INSERT INTO inbox (carrier, external_id, account_sid, message_sid, received_at)
SELECT 'line', 'SM' || md5(m.sid), m.account_sid, m.sid, m.date_created
FROM messages m ORDER BY 2
-- name: decisions
INSERT INTO decisions (
  sid, account_sid, carrier, external_id, address, proxy_address, signature, rule, outcome, steps,
  conversation_sid, message_sid, received_at)
SELECT 'RD' || substr(m.sid, 3), m.account_sid, 'line', 'SM' || md5(m.sid), m.author,
  '+15005550006', 'valid', 'binding', 'joined', '[["sender", "the To address is ours"]]',
  m.conversation_sid, m.sid, m.date_created
FROM messages m ORDER BY m.sid
