-- title: Changes made by hand
-- group: change
-- days: 7
-- limit: 200
-- param: iac_agents text 'terraform|pulumi|opentofu|cloudformation|aws-cdk': A regular expression, in small letters, of the user agents of your tools.
-- param: iac_roles text 'terraform|pulumi|atlantis|cdk-|cloudformation|github|gitlab|jenkins|deploy|pipeline': The same for the names of the roles and users they work with.
-- shown: last_change, account_id, principal, event_source, event_name, hands, changes, failed, a_target, console
--
-- What was created, changed or deleted other than by infrastructure as code: drift, and hands where none should be. One
-- row for each principal, account and action. What few do comes first (`hands` counts the rows of the same action), the
-- newest of it on top; the daily round of starting and stopping is at the end. `console` counts the changes that were
-- made in the console.
--
-- A user agent is what the caller says of itself: whoever holds a stolen key can call himself Terraform. Where your
-- pipelines have roles of their own, set iac_agents='^$' and go by the roles alone. Left out are data events, AWS
-- services, sessions and tokens, and what compute does in running (log streams, network interfaces, instance reports).
WITH by_hand AS (
  SELECT
    min(event_time) AS first_change,
    max(event_time) AS last_change,
    account_id,
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN coalesce(session_name, user_name)
      ELSE user_name
    END AS principal,
    event_source,
    event_name,
    count(*) AS changes,
    count(*) FILTER (WHERE error_code <> '') AS failed,
    count(DISTINCT target) AS targets,
    max(target) AS a_target,
    count(*) FILTER (
      WHERE json_extract_scalar(rest, '$.sessionCredentialFromConsole') = 'true'
        OR regexp_like(lower(user_agent), '^(mozilla|console[.]amazonaws|signin[.]amazonaws)')
    ) AS console,
    max(user_name) AS user_name
  FROM events
  WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (:region IS NULL OR aws_region = :region)
    AND (:user IS NULL OR user_name = :user OR session_name = :user)
    AND coalesce(read_only, false) = false
    AND coalesce(event_category, 'Management') = 'Management'
    AND regexp_like(event_name,
      '^(Add|Associate|Attach|Authorize|Create|Delete|Deregister|Detach|Disable|Disassociate|Enable|Import|Modify|'
      || 'Put|Register|Remove|Replace|Reset|Restore|Revoke|Run|Schedule|Set|Share|Start|Stop|Terminate|Update)')
    AND event_type NOT IN ('sts', 'signin')
    AND event_name NOT LIKE 'CreatePresigned%'
    AND event_source NOT IN ('sso-oauth.amazonaws.com', 'support.amazonaws.com', 'health.amazonaws.com')
    AND event_name NOT IN (
      'CreateLogStream', 'CreateLogGroup', 'PutLogEvents', 'CreateNetworkInterface', 'DeleteNetworkInterface',
      'UpdateInstanceInformation', 'UpdateInstanceAssociationStatus', 'PutInventory', 'PutComplianceItems',
      'StartSession', 'TerminateSession', 'StartQuery', 'StartQueryExecution', 'CreateGrant', 'PutMetricData',
      'RegisterTargets', 'DeregisterTargets')
    AND NOT regexp_like(lower(coalesce(user_agent, '')), :iac_agents)
    AND NOT regexp_like(lower(coalesce(user_name, '')), :iac_roles)
    -- AWS services that act on their own or for somebody.
    AND invoked_by IS NULL
    AND coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'
  GROUP BY account_id,
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN coalesce(session_name, user_name)
      ELSE user_name
    END,
    event_source, event_name
),
counted AS (
  SELECT by_hand.*, count(*) OVER (PARTITION BY event_source, event_name) AS hands
  FROM by_hand
)
SELECT
  first_change,
  last_change,
  account_id,
  principal,
  event_source,
  event_name,
  hands,
  changes,
  failed,
  targets,
  a_target,
  console,
  user_name
FROM counted
ORDER BY hands, last_change DESC, account_id, principal, event_source, event_name
LIMIT :limit
