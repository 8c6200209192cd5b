-- title: Who uses which AI model
-- group: ai
-- days: 7
-- limit: 200
-- param: history_days integer 30: How many days before the window count as habit.
-- shown: principal, account_id, model, aws_region, new_user, uses, failed, source_ips, first_seen, last_seen
--
-- Calls of models, agents and endpoints of Bedrock and SageMaker, and jobs that train or customise them, by principal,
-- model and region. First come principals that used no AI in the history (`new_user`): a stolen key that runs models at
-- your cost is one of them, unless the key's owner does it too. Then the most calls.
--
-- Failed calls are counted: asking for models that nobody enabled is how such a key is tried. Roles count whatever
-- their sessions are called, people of Identity Center by their name. What a service calls on its own is left out.
-- Endpoints of SageMaker are seen only where the trail records their data events.
WITH calls AS (
  SELECT
    event_date,
    event_time,
    account_id,
    aws_region,
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN coalesce(session_name, user_name)
      ELSE user_name
    END AS principal,
    user_name,
    session_name,
    actor_type,
    event_source,
    coalesce(nullif(regexp_extract(target, '([^/]+)$', 1), ''), event_name) AS model,
    source_ip,
    error_code
  FROM events
  WHERE event_date BETWEEN date_add('day', -:history_days, CAST(:from_date AS date)) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (event_source LIKE 'bedrock%' OR event_source LIKE 'sagemaker%')
    AND regexp_like(event_name,
      '^(Invoke|Converse|Retrieve|StartAsyncInvoke'
      || '|Create(ModelInvocation|ModelCustomization|Training|Transform|Processing|ProvisionedModel))')
    -- AWS services that act on their own or for somebody.
    AND invoked_by IS NULL
    AND coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'
),
habit AS (
  SELECT DISTINCT account_id, principal
  FROM calls
  WHERE event_date < CAST(:from_date AS date)
)
SELECT
  calls.principal,
  calls.account_id,
  calls.model,
  calls.aws_region,
  habit.principal IS NULL AS new_user,
  count(*) AS uses,
  count(*) FILTER (WHERE calls.error_code <> '') AS failed,
  count(DISTINCT calls.session_name) AS sessions,
  count(DISTINCT calls.source_ip) AS source_ips,
  min(calls.event_time) AS first_seen,
  max(calls.event_time) AS last_seen,
  calls.event_source,
  max(calls.actor_type) AS actor_type
FROM calls
LEFT JOIN habit ON habit.account_id = calls.account_id AND habit.principal = calls.principal
WHERE calls.event_date >= CAST(:from_date AS date)
  AND (:region IS NULL OR calls.aws_region = :region)
  AND (:user IS NULL OR calls.user_name = :user OR calls.session_name = :user)
GROUP BY calls.principal, calls.account_id, calls.model, calls.aws_region, calls.event_source, habit.principal
ORDER BY
  CASE WHEN habit.principal IS NULL THEN 0 ELSE 1 END,
  uses DESC, calls.principal, calls.account_id, calls.model, calls.aws_region, calls.event_source
LIMIT :limit
