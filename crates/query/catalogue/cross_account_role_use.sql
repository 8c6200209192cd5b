-- title: Roles assumed from other accounts
-- group: access
-- days: 30
-- limit: 100
-- shown: caller_account, ours, caller, role_account, role_name, assumptions, failed, sessions, last_seen
--
-- Who crosses from one account into another, by caller and role. `ours` tells whether the caller's account has logs in
-- this lake: where it is false, somebody outside of what you collect has a key to your house (a vendor, you hope), and
-- those rows come first. A caller of another organisation is known by its id alone (AROA... a role, AIDA... a user).
--
-- One assumption is recorded in both accounts; it is counted once. `sessions` counts the session names the callers had
-- themselves. AWS services are left out, and so are single sign-on and pipelines, whose callers have no account (see
-- role_assumptions). :account asks for the recording account, :user for the caller.
WITH our_accounts AS (
  SELECT DISTINCT account_id
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
),
assumed AS (
  SELECT
    coalesce(shared_event_id, event_id) AS call_id,
    event_time,
    actor_account_id AS caller_account,
    actor_type,
    user_name,
    session_name,
    -- AROAEXAMPLE of AROAEXAMPLE:session, the same in both copies.
    nullif(split_part(principal_id, ':', 1), '') AS principal,
    source_ip,
    error_code,
    json_extract_scalar(request_parameters, '$.roleArn') AS role_arn
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (:region IS NULL OR aws_region = :region)
    AND (:user IS NULL OR user_name = :user OR session_name = :user)
    AND event_type = 'sts'
    AND event_name = 'AssumeRole'
    AND actor_type <> 'AWSService'
    AND split_part(json_extract_scalar(request_parameters, '$.roleArn'), ':', 5) <> actor_account_id
)
SELECT
  assumed.caller_account,
  our_accounts.account_id IS NOT NULL AS ours,
  coalesce(
    max(CASE WHEN assumed.actor_type <> 'AWSAccount' THEN assumed.user_name END),
    assumed.principal,
    assumed.caller_account
  ) AS caller,
  split_part(assumed.role_arn, ':', 5) AS role_account,
  nullif(regexp_extract(assumed.role_arn, '([^/]+)$', 1), '') AS role_name,
  count(DISTINCT assumed.call_id) AS assumptions,
  count(DISTINCT CASE WHEN assumed.error_code <> '' THEN assumed.call_id END) AS failed,
  count(DISTINCT assumed.session_name) AS sessions,
  count(DISTINCT assumed.source_ip) AS source_ips,
  min(assumed.event_time) AS first_seen,
  max(assumed.event_time) AS last_seen,
  assumed.role_arn,
  assumed.principal
FROM assumed
LEFT JOIN our_accounts ON our_accounts.account_id = assumed.caller_account
GROUP BY assumed.caller_account, our_accounts.account_id, assumed.principal, assumed.role_arn
ORDER BY
  CASE WHEN our_accounts.account_id IS NULL THEN 0 ELSE 1 END,
  assumptions DESC, assumed.caller_account, assumed.principal, assumed.role_arn
LIMIT :limit
