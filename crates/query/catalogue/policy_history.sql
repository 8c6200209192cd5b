-- title: How the permissions of one principal came about
-- group: change
-- days: 90
-- limit: 200
-- param: principal text required: The name of a user, role, group or policy, or the ARN of a policy or permission set.
-- shown: event_time, changed_by, event_name, policy, member, error_code, source_ip
--
-- Every change of one principal's permissions, the newest first, from its creation to its policies, groups, boundary
-- and trust, with the documents as they were sent (`document`). `policy` is the policy or boundary concerned,
-- `member` the user where a group changed, or the group where a user joined one. Failed attempts stand here with
-- their error.
--
-- What came in by a group or by a new version of an attached policy is found by asking for that group or policy.
SELECT
  event_time,
  account_id,
  coalesce(session_name, user_name) AS changed_by,
  event_name,
  coalesce(
    json_extract_scalar(request_parameters, '$.policyName'),
    nullif(regexp_extract(coalesce(
      json_extract_scalar(request_parameters, '$.policyArn'),
      json_extract_scalar(request_parameters, '$.managedPolicyArn'),
      json_extract_scalar(request_parameters, '$.permissionsBoundary')), '([^/]+)$', 1), '')
  ) AS policy,
  CASE
    WHEN json_extract_scalar(request_parameters, '$.groupName') = :principal
    THEN json_extract_scalar(request_parameters, '$.userName')
    ELSE json_extract_scalar(request_parameters, '$.groupName')
  END AS member,
  error_code,
  source_ip,
  coalesce(
    json_extract_scalar(request_parameters, '$.policyDocument'),
    json_extract_scalar(request_parameters, '$.assumeRolePolicyDocument'),
    json_extract_scalar(request_parameters, '$.inlinePolicy')
  ) AS document,
  CASE WHEN session_name IS NOT NULL THEN user_name END AS role_name,
  event_id
FROM events
WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND event_type IN ('iam', 'sso')
  AND coalesce(read_only, false) = false
  AND (json_extract_scalar(request_parameters, '$.userName') = :principal
    OR json_extract_scalar(request_parameters, '$.roleName') = :principal
    OR json_extract_scalar(request_parameters, '$.groupName') = :principal
    OR json_extract_scalar(request_parameters, '$.policyName') = :principal
    OR json_extract_scalar(request_parameters, '$.policyArn') = :principal
    OR regexp_extract(json_extract_scalar(request_parameters, '$.policyArn'), '([^/]+)$', 1) = :principal
    OR json_extract_scalar(request_parameters, '$.permissionSetArn') = :principal
    OR json_extract_scalar(request_parameters, '$.principalId') = :principal)
  AND (regexp_like(event_name, '(Policy|PolicyVersion|PermissionsBoundary|PermissionSet|AccountAssignment)$')
    OR event_name IN (
      'CreateUser', 'DeleteUser', 'CreateRole', 'DeleteRole', 'CreateGroup', 'DeleteGroup',
      'AddUserToGroup', 'RemoveUserFromGroup', 'UpdateRole'))
ORDER BY event_time DESC, event_id
LIMIT :limit
