-- Claim pairs, or the number groups of group texts, and create conversations with their participants
-- and attached webhooks for those that are ours. Everybody gets the role that the service gives;
-- identities that are new to it become users, in a group text behind our number. Then lock those
-- conversations that are there, as road_lock.sql does. Gives both kinds with what is below them: of the
-- new ones, which the statement cannot read yet, by what made it; with that role, and the users.
-- Parts between (more) and (/more) are left out where pairs alone come in: they would cost a fifth.
WITH asked AS (
  SELECT * FROM json_to_recordset($4::text::json) AS n (
    sid text, account_sid text, service_sid text, messaging_service_sid text,
    friendly_name text, participant_sid text, channel text, address text, proxy_address text,
    webhook_sid text, target text, url text, method text, filters json,
    echo boolean, payload text,
    flow_sid text, retry_count int, identities json, numbers text, natives json)
), claimed AS (
  INSERT INTO bindings (account_sid, proxy_address, address, conversation_sid, participant_sid)
  SELECT account_sid, proxy_address, address, sid, participant_sid FROM asked
  WHERE numbers IS NULL
  ORDER BY account_sid, proxy_address, address
  ON CONFLICT (account_sid, proxy_address, address) WHERE open DO NOTHING
  RETURNING participant_sid
-- (more)
), grouped AS (
  INSERT INTO number_groups (conversation_sid, account_sid, numbers)
  SELECT sid, account_sid, numbers FROM asked
  WHERE numbers IS NOT NULL AND (SELECT count(*) FROM claimed) >= 0  -- after the pairs
  ORDER BY account_sid, numbers
  ON CONFLICT (account_sid, numbers) WHERE open DO NOTHING
  RETURNING conversation_sid
-- (/more)
), new AS (
  SELECT * FROM asked
  WHERE participant_sid COLLATE "C" = ANY (ARRAY (SELECT participant_sid FROM claimed))
-- (more)
    OR sid COLLATE "C" = ANY (ARRAY (SELECT conversation_sid FROM grouped))
-- (/more)
), conversation AS (
  INSERT INTO conversations (
    sid, account_sid, chat_service_sid, messaging_service_sid, friendly_name, state, inactive_timer_s,
    closed_timer_s, active_at, state_at, next_timer_at, date_created, date_updated, grouped)
  SELECT n.sid, n.account_sid, coalesce(s.sid, a.default_chat_service_sid),
    coalesce(n.messaging_service_sid, a.default_messaging_service_sid), n.friendly_name, 'active',
    a.default_inactive_timer_s, a.default_closed_timer_s, $5::timestamptz, $5, $5 + make_interval(
      secs => coalesce(a.default_inactive_timer_s, a.default_closed_timer_s)), $5, $5,
    n.numbers IS NOT NULL
  FROM new n JOIN accounts a ON a.sid = n.account_sid COLLATE "C"
  LEFT JOIN services s ON s.sid = n.service_sid COLLATE "C" AND s.deleted_at IS NULL
  RETURNING *
), home AS (
  SELECT c.sid, c.chat_service_sid, s.default_conversation_role_sid AS role_sid,
    s.default_chat_service_role_sid AS user_role_sid
  FROM conversation c JOIN services s ON s.sid = c.chat_service_sid
-- (more)
), person AS (
  SELECT i.sid, i.user_sid, i.identity, n.account_sid, h.chat_service_sid, n.sid AS conversation_sid,
    h.role_sid, h.user_role_sid, CASE WHEN n.numbers IS NOT NULL THEN n.channel END AS channel,
    CASE WHEN n.numbers IS NOT NULL THEN n.proxy_address END AS projected_address
  FROM new n JOIN home h ON h.sid = n.sid
  CROSS JOIN LATERAL json_to_recordset(n.identities) AS i (sid text, user_sid text, identity text)
-- (/more)
), newcomer AS (
  INSERT INTO participants (
    sid, account_sid, chat_service_sid, conversation_sid, identity, channel, address, proxy_address,
    projected_address, role_sid, date_created, date_updated)
  SELECT n.participant_sid, n.account_sid, h.chat_service_sid, n.sid, NULL, n.channel, n.address,
    n.proxy_address, NULL, h.role_sid, $5, $5
  FROM new n JOIN home h ON h.sid = n.sid WHERE n.numbers IS NULL
-- (more)
  UNION ALL
  SELECT m.sid, n.account_sid, h.chat_service_sid, n.sid, NULL, n.channel, m.address, NULL,
    m.projected_address, h.role_sid, $5, $5
  FROM new n JOIN home h ON h.sid = n.sid
  CROSS JOIN LATERAL json_to_recordset(n.natives) AS m (
    sid text, address text, projected_address text)
  WHERE n.numbers IS NOT NULL
  UNION ALL
  SELECT sid, account_sid, chat_service_sid, conversation_sid, identity, channel, NULL, NULL,
    projected_address, role_sid, $5, $5
  FROM person
-- (/more)
  RETURNING *
-- (more)
), member AS (
  INSERT INTO users (
    sid, account_sid, chat_service_sid, identity, role_sid, date_created, date_updated)
  SELECT user_sid, account_sid, chat_service_sid, identity, user_role_sid, $5, $5
  FROM person ORDER BY chat_service_sid, identity COLLATE "C"
  ON CONFLICT (chat_service_sid, identity) DO NOTHING
  RETURNING sid
), attached AS (
  INSERT INTO scoped_webhooks (
    sid, account_sid, chat_service_sid, conversation_sid, target, url, method, filters, echo,
    payload, flow_sid, retry_count, date_created, date_updated)
  SELECT n.webhook_sid, n.account_sid, h.chat_service_sid, n.sid, n.target, n.url, n.method,
    ARRAY (SELECT json_array_elements_text(n.filters)), n.echo, n.payload, n.flow_sid,
    n.retry_count, $5, $5
  FROM new n JOIN home h ON h.sid = n.sid WHERE n.webhook_sid IS NOT NULL
  RETURNING *
-- (/more)
), locked AS MATERIALIZED (
  SELECT * FROM conversations WHERE sid = ANY ($1::text[])
    AND (SELECT count(*) FROM claimed) >= 0  -- after the pairs, and the number groups and users
-- (more)
    AND (SELECT count(*) FROM grouped) >= 0 AND (SELECT count(*) FROM member) >= 0
-- (/more)
  ORDER BY sid FOR NO KEY UPDATE
), held AS (
  SELECT *, revision = (SELECT seen.revision FROM conversations seen WHERE seen.sid = l.sid)
    AS unchanged, false AS made, NULL AS role_sid
  FROM locked l
  UNION ALL
  SELECT c.*, true, true, h.role_sid FROM home h JOIN conversation c ON c.sid = h.sid
), told AS MATERIALIZED (  -- asked once for each service
  SELECT c.account_sid, c.chat_service_sid, w.*
  FROM (SELECT DISTINCT account_sid, chat_service_sid FROM held) c {configured}
)
SELECT c.*,
-- (more)
  CASE WHEN c.made THEN (
    SELECT json_agg(json_build_array(p.user_sid, p.identity, p.user_role_sid) ORDER BY p.user_sid)
    FROM person p JOIN member m ON m.sid = p.user_sid WHERE p.conversation_sid = c.sid)::text
  END AS met,
-- (/more)
  {below}
FROM held c
