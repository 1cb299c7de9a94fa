-- Keep where runs stand, and their steps. One that is there already is changed only from the version
-- that was read, and while it is active; a new one only while no other is active and its conversation
-- is not closed. Who closes one ends what is active there, under its lock: so that of a new one is
-- locked until it is kept, before any execution is. Gives those kept.
WITH given AS (
  SELECT * FROM json_to_recordset($1::text::json) AS g (
    sid text, account_sid text, flow_sid text, conversation_sid text, flow_version int,
    contact_channel_address text, initiated_by text, status text, reason text, memory text,
    due timestamptz, version int, taken bigint)
), entered AS MATERIALIZED (
  SELECT c.sid FROM conversations c
  WHERE c.sid IN (SELECT g.conversation_sid COLLATE "C" FROM given g WHERE g.version = 0)
    AND c.state <> 'closed'
  ORDER BY c.sid FOR SHARE OF c
), held AS (
  SELECT e.sid FROM executions e JOIN given g ON g.sid = e.sid COLLATE "C"
  WHERE e.version = g.version AND e.status = 'active' AND (SELECT count(*) FROM entered) >= 0
    AND e.sid = ANY (ARRAY (SELECT sid FROM given))
  ORDER BY e.sid FOR NO KEY UPDATE OF e
), changed AS (
  UPDATE executions e SET status = g.status, reason = g.reason, memory = g.memory, due = g.due,
    version = e.version + 1, taken = g.taken, date_updated = $3
  FROM held h JOIN given g ON g.sid = h.sid COLLATE "C"
  WHERE e.sid = h.sid AND e.sid = ANY (ARRAY (SELECT sid FROM held))
  RETURNING e.sid
), made AS (
  INSERT INTO executions (
    sid, account_sid, flow_sid, conversation_sid, flow_version, contact_channel_address,
    initiated_by, status, reason, memory, due, version, taken, date_created, date_updated)
  SELECT g.sid, g.account_sid, g.flow_sid, g.conversation_sid, g.flow_version,
    g.contact_channel_address, g.initiated_by, g.status, g.reason, g.memory, g.due, 1, g.taken,
    $3, $3
  FROM given g
  JOIN entered c ON c.sid = g.conversation_sid COLLATE "C"
  JOIN LATERAL (SELECT FROM flows f WHERE f.sid = g.flow_sid COLLATE "C" FOR KEY SHARE) f ON true
  WHERE g.version = 0
  ON CONFLICT (flow_sid, conversation_sid) WHERE status = 'active' DO NOTHING
  RETURNING sid
), kept AS (
  SELECT sid FROM changed UNION ALL SELECT sid FROM made
), stepped AS (
  INSERT INTO execution_steps (
    sid, execution_sid, name, transitioned_from, transitioned_to, type, context, date_created)
  SELECT s.sid, s.execution_sid, s.name, s.transitioned_from, s.transitioned_to, s.type, s.context,
    s.date_created
  FROM json_to_recordset($2::text::json) AS s (
    sid text, execution_sid text, name text, transitioned_from text, transitioned_to text,
    type text, context text, date_created timestamptz)
  JOIN kept k ON k.sid = s.execution_sid COLLATE "C"
)
SELECT sid FROM kept
