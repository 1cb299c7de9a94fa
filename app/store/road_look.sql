-- All that a convoy of plain inbounds is decided on, read at one time and without a lock. A row for
-- each: who holds its pair, with their conversation, who is in it and who is told; or, when nobody does,
-- the configuration of our address, where it creates (or else the account), who is told there, and how
-- the writer stands to us.
WITH found AS MATERIALIZED (
  SELECT i.*, a.auto_service_sid,
    coalesce(b.conversation_sid, g.conversation_sid) AS conversation_sid,
    coalesce(b.participant_sid, g.participant_sid) AS participant_sid,
    CASE WHEN b.conversation_sid IS NULL AND g.conversation_sid IS NULL THEN to_json(a)::text END
      AS configuration
  FROM json_to_recordset($1::text::json) AS i (
    carrier text, external_id text, account_sid text, proxy_address text, address text,
    numbers text, channel text)
  {holders}
), home AS MATERIALIZED (
  SELECT f.account_sid, f.auto_service_sid, s.sid, json_build_array(
    s.sid, s.default_conversation_role_sid, a.default_messaging_service_sid,
    a.default_inactive_timer_s, a.default_closed_timer_s) AS gives
  FROM (SELECT DISTINCT account_sid, auto_service_sid FROM found
        WHERE conversation_sid IS NULL) f
  JOIN accounts a ON a.sid = f.account_sid COLLATE "C"
  LEFT JOIN services o ON o.sid = f.auto_service_sid AND o.deleted_at IS NULL
  JOIN services s ON s.sid = coalesce(o.sid, a.default_chat_service_sid)
), told AS MATERIALIZED (  -- asked once for each service
  SELECT c.account_sid, c.chat_service_sid, w.*
  FROM (
    SELECT f.account_sid, c.chat_service_sid
    FROM found f JOIN conversations c ON c.sid = f.conversation_sid
    UNION
    SELECT account_sid, sid FROM home) c {configured}
)
SELECT c.sid, c.account_sid, c.chat_service_sid, c.messaging_service_sid, c.state,
  c.inactive_timer_s, c.closed_timer_s, c.state_at, c.next_timer_at, c.message_count, c.revision,
  c.grouped,  -- all that plain messages ask of one that is there: from number to tell (walk.publish),
  -- and what is written of it (ledger._conversation)
  f.carrier AS by_carrier, f.external_id, f.conversation_sid, f.participant_sid,
  f.configuration,
  NOT ((SELECT EXISTS (SELECT FROM webhook_configurations WHERE pre_url IS NOT NULL)
      OR EXISTS (SELECT FROM lanes WHERE kind = 'ask'))
    OR coalesce(w.enriched, false) OR coalesce(s.enriched, false)) AS plain,
  CASE WHEN c.sid IS NOT NULL THEN (
    SELECT json_agg({member} ORDER BY p.sid) FROM participants p
    WHERE p.conversation_sid = c.sid AND p.address IS NOT NULL) END::text AS external,
  CASE WHEN h.sid IS NOT NULL THEN json_build_array(h.gives, {stands}) END::text AS home,
  w.configured, s.scoped, a.streamed, NULL AS roster
FROM found f
LEFT JOIN conversations c ON c.sid = f.conversation_sid
LEFT JOIN home h ON f.conversation_sid IS NULL AND h.account_sid = f.account_sid
  AND h.auto_service_sid IS NOT DISTINCT FROM f.auto_service_sid
JOIN accounts a ON a.sid = f.account_sid COLLATE "C"
LEFT JOIN told w ON w.account_sid = f.account_sid
  AND w.chat_service_sid = coalesce(c.chat_service_sid, h.sid)
LEFT JOIN LATERAL ({scoped}) s ON c.sid IS NOT NULL
