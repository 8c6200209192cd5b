-- title: The days in figures
-- group: classic
-- days: 90
-- limit: 30
--
-- One row a day of identity events, the newest first. Look for the day that is not like the others, then ask the other
-- queries about it. `unique_users` counts sessions' names where roles acted.
--
-- The classic query counted everything with "create" and "user" in its name as a user created, and reads of policies
-- as changes. Here `users_created`, `users_deleted`, `policy_changes` and `role_assumptions` count only calls that did
-- it: CreateUser, DeleteUser, changes of policies and permissions boundaries, and the three kinds of AssumeRole, those
-- that failed left out. What failed is in `failed_events`.
SELECT
  event_date,
  count(*) AS total_events,
  count(DISTINCT coalesce(session_name, user_name)) AS unique_users,
  count(DISTINCT event_name) AS unique_actions,
  count(*) FILTER (
    WHERE error_code <> '' OR (event_type = 'signin' AND error_message <> '')
  ) AS failed_events,
  count(*) FILTER (WHERE event_name = 'CreateUser' AND coalesce(error_code, '') = '') AS users_created,
  count(*) FILTER (WHERE event_name = 'DeleteUser' AND coalesce(error_code, '') = '') AS users_deleted,
  count(*) FILTER (
    WHERE regexp_like(event_name,
        '^(Add|Attach|Create|Delete|Detach|Put|Remove|Reset|Set|Update)[A-Za-z]*(Policy|PermissionsBoundary)')
      AND coalesce(error_code, '') = ''
  ) AS policy_changes,
  count(*) FILTER (
    WHERE event_name IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity')
      AND coalesce(error_code, '') = ''
  ) AS role_assumptions
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
GROUP BY event_date
ORDER BY event_date DESC
LIMIT :limit
