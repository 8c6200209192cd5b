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
    session_name,
    actor_type,
    event_source,
    coalesce(nullif(regexp_extract(target, '([^/]+)$', 1), ''), event_name) AS model,
    source_ip,
    error_code,
    event_date >= CAST(:from_date AS date)
      AND (:region IS NULL OR aws_region = :region)
      AND (:user IS NULL OR user_name = :user OR session_name = :user) AS is_asked_for
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
models AS (
  -- Every model of a principal: before the window, and in it. Habit does not depend on what is asked for.
  SELECT
    principal,
    account_id,
    model,
    aws_region,
    event_source,
    count(*) FILTER (WHERE event_date < CAST(:from_date AS date)) AS before,
    count(*) FILTER (WHERE is_asked_for) AS uses,
    count(*) FILTER (WHERE is_asked_for AND error_code <> '') AS failed,
    count(DISTINCT session_name) FILTER (WHERE is_asked_for) AS sessions,
    count(DISTINCT source_ip) FILTER (WHERE is_asked_for) AS source_ips,
    min(event_time) FILTER (WHERE is_asked_for) AS first_seen,
    max(event_time) FILTER (WHERE is_asked_for) AS last_seen,
    max(actor_type) FILTER (WHERE is_asked_for) AS actor_type
  FROM calls
  GROUP BY principal, account_id, model, aws_region, event_source
),
compared AS (
  SELECT
    models.*,
    sum(before) OVER (PARTITION BY account_id, principal) = 0 AS new_user
  FROM models
)
SELECT
  principal,
  account_id,
  model,
  aws_region,
  new_user,
  uses,
  failed,
  sessions,
  source_ips,
  first_seen,
  last_seen,
  event_source,
  actor_type
FROM compared
WHERE uses > 0
ORDER BY
  CASE WHEN new_user THEN 0 ELSE 1 END,
  uses DESC, principal, account_id, model, aws_region, event_source
LIMIT :limit
