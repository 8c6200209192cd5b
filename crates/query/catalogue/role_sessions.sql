-- title: The sessions of one role, and who is behind them
-- group: access
-- days: 30
-- limit: 100
-- param: role text required: The role's name or ARN.
-- shown: session_name, assumed_by, started, calls, changes, failed, source_ips, last_call
--
-- Every session of a role, the newest first: its name, who assumed the role for it, when it began, what it did in
-- figures and from how many addresses. A session's name is the caller's choice: trust `assumed_by`, which is who the
-- assumption's own record names (for people of Identity Center that is their name), and `source_identity`, which a
-- session cannot change. More than one address in a session may be a laptop that moved or credentials that were copied.
--
-- The way back from a session to its assumption is the temporary key that the assumption gave out; where its record is
-- not in the lake, `assumed_by` is empty. See access_key_activity for what one session did.
WITH session_calls AS (
  SELECT
    access_key_id,
    account_id,
    session_name,
    source_identity,
    json_extract_scalar(user_identity, '$.sessionContext.attributes.creationDate') AS started,
    event_time,
    read_only,
    error_code,
    source_ip,
    event_source
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (:region IS NULL OR aws_region = :region)
    AND (:user IS NULL OR session_name = :user)
    AND actor_type = 'AssumedRole'
    AND (user_name = :role OR role_arn = :role)
),
issued AS (
  SELECT
    json_extract_scalar(response_elements, '$.credentials.accessKeyId') AS access_key_id,
    -- Two accounts record an assumption across them; only the caller's copy has a name.
    coalesce(
      max(CASE WHEN actor_type <> 'AWSAccount' THEN coalesce(session_name, user_name) END),
      max(coalesce(session_name, user_name))
    ) AS assumed_by
  FROM events
  -- A session may have begun the day before.
  WHERE event_date BETWEEN date_add('day', -1, CAST(:from_date AS date)) AND CAST(:to_date AS date)
    AND event_type = 'sts'
    AND event_name LIKE 'AssumeRole%'
    AND json_extract_scalar(response_elements, '$.credentials.accessKeyId') IS NOT NULL
  GROUP BY json_extract_scalar(response_elements, '$.credentials.accessKeyId')
)
SELECT
  session_calls.session_name,
  max(issued.assumed_by) AS assumed_by,
  session_calls.account_id,
  min(session_calls.started) AS started,
  count(*) AS calls,
  count(*) FILTER (WHERE session_calls.read_only = false) AS changes,
  count(*) FILTER (WHERE session_calls.error_code <> '') AS failed,
  count(DISTINCT session_calls.event_source) AS services,
  count(DISTINCT session_calls.source_ip) AS source_ips,
  min(session_calls.event_time) AS first_call,
  max(session_calls.event_time) AS last_call,
  max(session_calls.source_identity) AS source_identity,
  session_calls.access_key_id
FROM session_calls
LEFT JOIN issued ON issued.access_key_id = session_calls.access_key_id
GROUP BY session_calls.session_name, session_calls.account_id, session_calls.access_key_id
ORDER BY first_call DESC, session_calls.session_name, session_calls.account_id, session_calls.access_key_id
LIMIT :limit
