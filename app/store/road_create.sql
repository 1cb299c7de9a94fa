-- Conversations with their participants and attached webhooks, for pairs that are claimed.
WITH new AS (
  SELECT * FROM json_to_recordset($1::text::json) AS n (
    sid text, account_sid text, service_sid text, messaging_service_sid text,
    participant_sid text, channel text, address text, proxy_address text,
    webhook_sid text, target text, url text, method text, filters json,
    flow_sid text, retry_count int, identities json)
), conversation AS (
  INSERT INTO conversations (
    sid, account_sid, chat_service_sid, messaging_service_sid, state, inactive_timer_s,
    closed_timer_s, active_at, state_at, next_timer_at, date_created, date_updated)
  SELECT n.sid, n.account_sid, coalesce(n.service_sid, a.default_chat_service_sid),
    coalesce(n.messaging_service_sid, a.default_messaging_service_sid), 'active',
    a.default_inactive_timer_s, a.default_closed_timer_s, $2::timestamptz, $2, $2 + make_interval(
      secs => coalesce(a.default_inactive_timer_s, a.default_closed_timer_s)), $2, $2
  FROM new n JOIN accounts a ON a.sid = n.account_sid COLLATE "C"
  RETURNING sid, chat_service_sid
), pair AS (
  INSERT INTO participants (
    sid, account_sid, chat_service_sid, conversation_sid, channel, address, proxy_address,
    date_created, date_updated)
  SELECT n.participant_sid, n.account_sid, c.chat_service_sid, n.sid, n.channel, n.address,
    n.proxy_address, $2, $2
  FROM new n JOIN conversation c ON c.sid = n.sid
), chat AS (
  INSERT INTO participants (
    sid, account_sid, chat_service_sid, conversation_sid, identity, date_created, date_updated)
  SELECT i.sid, n.account_sid, c.chat_service_sid, n.sid, i.identity, $2, $2
  FROM new n JOIN conversation c ON c.sid = n.sid
  CROSS JOIN LATERAL json_to_recordset(n.identities) AS i (sid text, identity text)
)
INSERT INTO scoped_webhooks (
  sid, account_sid, chat_service_sid, conversation_sid, target, url, method, filters, flow_sid,
  retry_count, date_created, date_updated)
SELECT n.webhook_sid, n.account_sid, c.chat_service_sid, n.sid, n.target, n.url, n.method,
  ARRAY (SELECT json_array_elements_text(n.filters)), n.flow_sid, n.retry_count, $2, $2
FROM new n JOIN conversation c ON c.sid = n.sid WHERE n.webhook_sid IS NOT NULL
