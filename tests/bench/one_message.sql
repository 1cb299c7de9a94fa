-- The floor's other side: the same message as the road makes it, in one server-side function and one
-- commit, without HTTP and without our code. pgbench calls bench_one(conversations, share of new).
CREATE OR REPLACE FUNCTION bench_sid(prefix text) RETURNS text LANGUAGE sql
RETURN prefix || replace(uuidv7()::text, '-', '');

CREATE OR REPLACE FUNCTION bench_one(conversations int, fresh_share float) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  at timestamptz := clock_timestamp();
  external text := 'SM' || replace(gen_random_uuid()::text, '-', '');
  message text := bench_sid('IM');
  fresh boolean := random() < fresh_share;
  caller text := CASE WHEN fresh THEN '+1888' || lpad((random() * 9999999)::int::text, 7, '0')
    ELSE '+1555' || lpad((2000000 + floor(random() * conversations)::int)::text, 7, '0') END;
  proxy text := '+15005550006';
  owner text;
  found_conversation text;
  found_participant text;
  rule json;
  c conversations;
  hook webhook_configurations;
  other record;
  receipt text;
BEGIN
  SELECT sid INTO owner FROM accounts;
  INSERT INTO inbox (carrier, external_id, account_sid, message_sid, received_at)
  VALUES ('line', external, owner, message, at) ON CONFLICT DO NOTHING;
  SELECT b.conversation_sid, b.participant_sid, to_json(a)
  INTO found_conversation, found_participant, rule
  FROM (VALUES (owner)) AS i (account_sid)
  LEFT JOIN bindings b ON b.account_sid = i.account_sid AND b.proxy_address = proxy
    AND b.address = caller AND b.open
  LEFT JOIN address_configurations a ON a.account_sid = i.account_sid AND a.address = proxy;
  IF found_conversation IS NULL THEN
    found_conversation := bench_sid('CH');
    found_participant := bench_sid('MB');
    INSERT INTO bindings (account_sid, proxy_address, address, conversation_sid, participant_sid)
    VALUES (owner, proxy, caller, found_conversation, found_participant);
    INSERT INTO conversations (
      sid, account_sid, chat_service_sid, messaging_service_sid, state, active_at, state_at,
      date_created, date_updated)
    SELECT found_conversation, a.sid, a.default_chat_service_sid,
      a.default_messaging_service_sid, 'active', at, at, at, at FROM accounts a;
    INSERT INTO participants (
      sid, account_sid, chat_service_sid, conversation_sid, channel, address, proxy_address,
      date_created, date_updated)
    SELECT found_participant, a.sid, a.default_chat_service_sid, found_conversation, 'sms',
      caller, proxy, at, at FROM accounts a;
  END IF;
  SELECT * INTO c FROM conversations WHERE sid = found_conversation FOR NO KEY UPDATE;
  SELECT * INTO hook FROM webhook_configurations w
  WHERE w.account_sid = owner
    AND (w.chat_service_sid = c.chat_service_sid OR w.chat_service_sid IS NULL)
  ORDER BY w.chat_service_sid NULLS LAST LIMIT 1;
  PERFORM FROM scoped_webhooks WHERE conversation_sid = c.sid;
  INSERT INTO messages (
    sid, account_sid, chat_service_sid, conversation_sid, index, author, participant_sid, body,
    source, date_created, date_updated)
  VALUES (message, owner, c.chat_service_sid, c.sid, c.message_count, caller,
    found_participant, 'Is the bicycle still for sale?', 'SMS', at, at);
  UPDATE conversations SET message_count = message_count + 1, revision = revision + 1,
    active_at = at, date_updated = at WHERE sid = c.sid;
  FOR other IN
    SELECT * FROM participants WHERE conversation_sid = c.sid AND address IS NOT NULL
      AND sid <> found_participant
  LOOP
    receipt := bench_sid('DY');
    INSERT INTO receipts (
      sid, account_sid, chat_service_sid, conversation_sid, message_sid, participant_sid,
      channel, address, proxy_address, carrier, status, date_created, date_updated)
    VALUES (receipt, owner, c.chat_service_sid, c.sid, message, other.sid, 'sms', other.address,
      other.proxy_address, 'lab', 'queued', at, at);
    INSERT INTO lanes AS l (lane, kind, due)
    VALUES (format('d:%s %s:%s', owner, other.proxy_address, other.address), 'delivery', at)
    ON CONFLICT (lane) DO UPDATE SET kind = l.kind;
    INSERT INTO outbox (
      lane, kind, token, account_sid, conversation_sid, message_sid, receipt_sid, created_at)
    VALUES (format('d:%s %s:%s', owner, other.proxy_address, other.address), 'delivery',
      receipt, owner, c.sid, message, receipt, at);
  END LOOP;
  INSERT INTO lanes AS l (lane, kind, due)
  VALUES (format('h:%s:%s', hook.sid, c.sid), 'hook', at)
  ON CONFLICT (lane) DO UPDATE SET kind = l.kind;
  INSERT INTO outbox (
    lane, kind, token, account_sid, conversation_sid, message_sid, event, scope, url, method,
    params, created_at)
  VALUES (format('h:%s:%s', hook.sid, c.sid), 'hook', gen_random_uuid()::text, owner, c.sid,
    message, 'onMessageAdded', 'global', hook.post_url, hook.method, jsonb_build_object(
      'AccountSid', owner, 'ChatServiceSid', c.chat_service_sid, 'ConversationSid', c.sid,
      'EventType', 'onMessageAdded', 'Source', 'SMS', 'MessageSid', message,
      'Index', c.message_count::text, 'DateCreated', at, 'Author', caller,
      'Body', 'Is the bicycle still for sale?', 'ParticipantSid', found_participant,
      'Attributes', '{}', 'MessagingServiceSid', c.messaging_service_sid), at);
  INSERT INTO decisions (
    sid, account_sid, carrier, external_id, address, proxy_address, signature, rule, outcome,
    steps, conversation_sid, message_sid, received_at)
  VALUES (bench_sid('RD'), owner, 'line', external, caller, proxy, 'valid', 'binding', 'joined',
    '[["sender", "the To address is ours, held by line"], ["binding", "the pair is held"]]',
    c.sid, message, at);
  RETURN message;
END
$$;
