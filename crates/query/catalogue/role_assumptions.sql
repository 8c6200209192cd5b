-- title: Which roles are assumed by whom
-- group: classic
-- days: 90
-- limit: 50
-- shown: role_name, assumed_by, assumption_count, failed_assumptions
--
-- Roles with who assumed them more than five times. `assumption_count` counts every attempt, `failed_assumptions` those
-- that were denied; a pair with nothing but failures is somebody at a door that does not open.
--
-- The classic query cut long role names and took a path for the name: the name is the last part of the role's ARN,
-- whole. It missed AssumeRoleWithSAML (single sign-on) and AssumeRoleWithWebIdentity (pipelines, pods). Roles of one
-- name in several accounts share a row, and an assumption across accounts is recorded in both: ask for one account to
-- tell them apart, or see cross_account_role_use. AWS services that assume their service-linked roles are left out, as
-- the classic tracker left them out when it read.
SELECT
  nullif(regexp_extract(json_extract_scalar(request_parameters, '$.roleArn'), '([^/]+)$', 1), '') AS role_name,
  coalesce(session_name, user_name) AS assumed_by,
  count(*) AS assumption_count,
  count(*) FILTER (WHERE error_code <> '') AS failed_assumptions
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND event_name IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity')
  AND json_extract_scalar(request_parameters, '$.roleArn') LIKE '%/%'
  AND NOT (coalesce(source_ip, '') LIKE '%.amazonaws.com'
    AND json_extract_scalar(request_parameters, '$.roleArn') LIKE '%:role/aws-service-role/%')
GROUP BY 1, 2
HAVING count(*) > 5
ORDER BY assumption_count DESC, role_name, assumed_by
LIMIT :limit
