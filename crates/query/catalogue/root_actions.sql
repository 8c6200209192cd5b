-- title: What root did, in every service
-- group: audit
-- days: 90
-- limit: 200
-- shown: event_time, account_id, event_name, event_source, target, changed, source_ip, outcome
--
-- Every call of a root user, of sessions that AssumeRoot gave out and of sessions that root made for itself, in all
-- services, the newest first: the evidence for "root is not used" of every audit. `changed` tells calls that may change
-- something from those that only read; `outcome` is the error where there was one.
--
-- What AWS does by itself in root's name is left out, as in the CIS benchmark.
SELECT
  event_time,
  account_id,
  event_name,
  event_source,
  target,
  CASE WHEN read_only THEN false ELSE true END AS changed,
  aws_region,
  source_ip,
  user_agent,
  mfa_authenticated,
  coalesce(nullif(error_code, ''), CASE WHEN event_type = 'signin' THEN nullif(error_message, '') END) AS outcome,
  actor_type,
  request_parameters,
  event_id
FROM events
WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND (actor_type = 'Root'
    OR (actor_type = 'FederatedUser'
      AND json_extract_scalar(user_identity, '$.sessionContext.sessionIssuer.type') = 'Root'))
  AND (invoked_by IS NULL OR invoked_by LIKE 'signin.amazonaws.com%')
  AND coalesce(aws_event_type, '') <> 'AwsServiceEvent'
ORDER BY event_time DESC, event_id
LIMIT :limit
