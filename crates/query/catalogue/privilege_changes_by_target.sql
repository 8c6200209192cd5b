-- title: Whose permissions were changed
-- group: change
-- days: 30
-- limit: 100
-- param: admin_policies list built-in: Administrators' policies, by name or whole ARN, in lower case.
-- shown: account_id, target_kind, target, admin_grants, by_self, granted, taken, failed, changed_by, last_change
--
-- Users, roles, groups, policies and permission sets by the changes made to what they may do. First come those that
-- were made administrators (`admin_grants`: an administrator's managed policy, or an inline one that allows
-- everything or all of IAM in its first action) and those that changed themselves (`by_self`). See policy_history for
-- one of them in full.
--
-- `granted` are calls that may widen permissions, `taken` those that narrow them, failed ones left out of both. An
-- account assigned to somebody of Identity Center counts for that person's or group's id.
WITH changes AS (
  SELECT
    account_id,
    CASE
      WHEN event_name LIKE '%AccountAssignment' THEN 'sso principal'
      WHEN event_type = 'sso' THEN 'permission set'
      WHEN json_extract_scalar(request_parameters, '$.userName') IS NOT NULL THEN 'user'
      WHEN json_extract_scalar(request_parameters, '$.roleName') IS NOT NULL THEN 'role'
      WHEN json_extract_scalar(request_parameters, '$.groupName') IS NOT NULL THEN 'group'
      WHEN json_extract_scalar(request_parameters, '$.policyArn') IS NOT NULL THEN 'policy'
      ELSE 'not told'
    END AS target_kind,
    CASE
      WHEN event_name LIKE '%AccountAssignment' THEN json_extract_scalar(request_parameters, '$.principalId')
      ELSE coalesce(
        json_extract_scalar(request_parameters, '$.permissionSetArn'),
        json_extract_scalar(request_parameters, '$.userName'),
        json_extract_scalar(request_parameters, '$.roleName'),
        json_extract_scalar(request_parameters, '$.groupName'),
        json_extract_scalar(request_parameters, '$.policyArn'))
    END AS target,
    coalesce(error_code, '') = '' AS done,
    -- Without its boundary a principal may do more.
    (regexp_like(event_name, '^(Add|Attach|CreatePolicyVersion|CreateAccountAssignment|SetDefault|Update)')
      OR (event_name LIKE 'Put%' AND event_name NOT LIKE '%PermissionsBoundary%')
      OR event_name LIKE 'Delete%PermissionsBoundary%') AS widens,
    ((lower(coalesce(
          json_extract_scalar(request_parameters, '$.policyArn'),
          json_extract_scalar(request_parameters, '$.managedPolicyArn'))) IN (:admin_policies)
        OR lower(regexp_extract(coalesce(
          json_extract_scalar(request_parameters, '$.policyArn'),
          json_extract_scalar(request_parameters, '$.managedPolicyArn')), '([^/]+)$', 1)) IN (:admin_policies))
      AND event_name LIKE 'Attach%')
    OR regexp_like(coalesce(
        json_extract_scalar(request_parameters, '$.policyDocument'),
        json_extract_scalar(request_parameters, '$.inlinePolicy'), ''),
      '"Action"[^"]*"([*]|[*]:[*]|iam:[*])"') AS admin,
    coalesce(session_name, user_name) AS who,
    user_name,
    session_name,
    event_time
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (:region IS NULL OR aws_region = :region)
    AND (:user IS NULL OR user_name = :user OR session_name = :user)
    AND (
      (event_type = 'iam' AND event_name IN (
        'AttachUserPolicy', 'AttachGroupPolicy', 'AttachRolePolicy',
        'DetachUserPolicy', 'DetachGroupPolicy', 'DetachRolePolicy',
        'PutUserPolicy', 'PutGroupPolicy', 'PutRolePolicy',
        'DeleteUserPolicy', 'DeleteGroupPolicy', 'DeleteRolePolicy',
        'CreatePolicyVersion', 'SetDefaultPolicyVersion', 'UpdateAssumeRolePolicy',
        'PutUserPermissionsBoundary', 'DeleteUserPermissionsBoundary',
        'PutRolePermissionsBoundary', 'DeleteRolePermissionsBoundary',
        'AddUserToGroup', 'RemoveUserFromGroup'))
      OR (event_type = 'sso' AND event_name IN (
        'AttachManagedPolicyToPermissionSet', 'DetachManagedPolicyFromPermissionSet',
        'AttachCustomerManagedPolicyReferenceToPermissionSet', 'DetachCustomerManagedPolicyReferenceFromPermissionSet',
        'PutInlinePolicyToPermissionSet', 'DeleteInlinePolicyFromPermissionSet',
        'PutPermissionsBoundaryToPermissionSet', 'DeletePermissionsBoundaryFromPermissionSet',
        'UpdatePermissionSet', 'CreateAccountAssignment', 'DeleteAccountAssignment')))
)
SELECT
  account_id,
  target_kind,
  target,
  count(*) FILTER (WHERE done AND admin) AS admin_grants,
  count(*) FILTER (WHERE done AND widens AND (target = user_name OR target = session_name)) AS by_self,
  count(*) FILTER (WHERE done AND widens) AS granted,
  count(*) FILTER (WHERE done AND NOT widens) AS taken,
  count(*) FILTER (WHERE NOT done) AS failed,
  count(DISTINCT who) AS changed_by,
  max(who) AS a_changer,
  min(event_time) AS first_change,
  max(event_time) AS last_change
FROM changes
GROUP BY account_id, target_kind, target
ORDER BY admin_grants DESC, by_self DESC, granted DESC, last_change DESC, account_id, target_kind, target
LIMIT :limit
