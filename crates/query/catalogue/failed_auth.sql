-- title: Failed sign-ins and denied role assumptions
-- group: classic
-- days: 7
-- limit: 100
-- shown: event_date, user_name, source_ip, event_name, error, failure_count
--
-- Who was not let in, from where and why, one row a day. Many failures of one name from one address are a forgotten
-- password or a stale key; one failure each of many names from one address is somebody trying passwords; many roles
-- denied to one name is somebody looking for a way up.
--
-- Counted are failures of sign-ins (whatever the sign-in service recorded as failed), of AssumeRole and
-- GetSessionToken, and of their siblings AssumeRoleWithSAML, AssumeRoleWithWebIdentity, AssumeRoot and
-- GetFederationToken, which the classic query did not know. `user_name` is the session's name where a role acted;
-- a sign-in under a name that does not exist is HIDDEN_DUE_TO_SECURITY_REASONS. `error` is the error's code, else
-- its message, else the outcome that the sign-in's answer tells.
SELECT
  event_date,
  coalesce(session_name, user_name) AS user_name,
  source_ip,
  event_name,
  coalesce(
    nullif(error_code, ''),
    nullif(error_message, ''),
    json_extract_scalar(response_elements, '$.ConsoleLogin')
  ) AS error,
  count(*) AS failure_count
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND (event_type = 'signin'
    OR event_name IN (
      'ConsoleLogin', 'AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity', 'AssumeRoot',
      'GetSessionToken', 'GetFederationToken'))
  AND (error_code <> ''
    -- A failed sign-in has no error code.
    OR (event_type = 'signin' AND (
      error_message <> ''
      OR json_extract_scalar(response_elements, '$.ConsoleLogin') = 'Failure')))
GROUP BY 1, 2, 3, 4, 5
ORDER BY failure_count DESC, event_date DESC, 2, source_ip, event_name, error
LIMIT :limit
