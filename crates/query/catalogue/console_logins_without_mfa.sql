-- title: Console sign-ins without MFA
-- group: access
-- days: 30
-- limit: 100
-- shown: event_time, account_id, user_name, source_ip, aws_region, user_agent
--
-- IAM users and root users who got into the console with a password alone, the newest first. Root belongs on top of the
-- list of things to do; an address that you do not know is an incident.
--
-- Sign-ins through a role (single sign-on, federation) are left out: they always say "no MFA", whatever the identity
-- provider asked for. Failed sign-ins are in failed_auth.
SELECT
  event_time,
  account_id,
  user_name,
  actor_type,
  source_ip,
  aws_region,
  user_agent,
  event_id
FROM events
WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND event_type = 'signin'
  AND event_name = 'ConsoleLogin'
  AND actor_type IN ('IAMUser', 'Root')
  AND coalesce(mfa_authenticated, false) = false
  AND coalesce(error_code, '') = ''
  AND json_extract_scalar(response_elements, '$.ConsoleLogin') = 'Success'
ORDER BY event_time DESC, event_id
LIMIT :limit
