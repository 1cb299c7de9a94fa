-- A backlog: $1 deliveries to the colleagues of the first $2 conversations, a lane for each of those.
WITH item AS (
  SELECT 'DY' || replace(uuidv7()::text, '-', '') AS sid, p.sid AS participant_sid, m.account_sid,
    m.chat_service_sid, m.conversation_sid, m.sid AS message_sid, p.address, p.proxy_address,
    format('d:%s %s:%s', m.account_sid, p.proxy_address, p.address) AS lane, n
  FROM (SELECT *, row_number() OVER (ORDER BY sid) - 1 AS place FROM messages
        WHERE index = 0 ORDER BY sid LIMIT $2) m
  JOIN participants p ON p.conversation_sid = m.conversation_sid
    AND p.proxy_address = '+15005550007'
  CROSS JOIN LATERAL generate_series(place, $1::int - 1, $2::int) AS n
), receipt AS (
  INSERT INTO receipts (
    sid, account_sid, chat_service_sid, conversation_sid, message_sid, participant_sid, channel,
    address, proxy_address, carrier, status, date_created, date_updated)
  SELECT sid, account_sid, chat_service_sid, conversation_sid, message_sid, participant_sid, 'sms',
    address, proxy_address, 'lab', 'queued', now(), now()
  FROM item
), lane AS (
  INSERT INTO lanes (lane, kind, due) SELECT DISTINCT lane, 'delivery', now() FROM item
)
INSERT INTO outbox (
  lane, kind, token, account_sid, conversation_sid, message_sid, receipt_sid, created_at)
SELECT lane, 'delivery', sid, account_sid, conversation_sid, message_sid, sid, now()
FROM item ORDER BY n
