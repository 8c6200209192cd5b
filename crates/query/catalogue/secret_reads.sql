-- title: Who reads secrets
-- group: hunt
-- days: 7
-- limit: 100
-- param: history_days integer 60: How many days before the window count as habit.
-- shown: principal, account_id, new_secrets, secrets, secret_reads, parameter_reads, decrypts, failed, source_ips, last_read
--
-- Secrets of Secrets Manager, parameters of Systems Manager and direct decryptions with KMS, by who read them. First
-- come those who read secrets or parameters that they had never read before (`new_secrets`, failed reads counted): an
-- application reads the same ones every day, an intruder all of them once.
--
-- Roles count whatever their sessions are called, people of Identity Center by their name. What AWS services decrypt on
-- somebody's behalf is left out. A parameter need not be a secret; the record does not tell. On a lake that does not
-- reach back before the window everything is new.
WITH reads AS (
  SELECT
    event_date,
    event_time,
    account_id,
    CASE
      WHEN role_arn LIKE '%:role/aws-reserved/sso.amazonaws.com/%' THEN coalesce(session_name, user_name)
      ELSE user_name
    END AS principal,
    session_name,
    actor_type,
    event_source,
    CASE WHEN event_source <> 'kms.amazonaws.com' THEN
      event_source || ' ' || coalesce(target, request_parameters, 'unnamed')
    END AS secret,
    source_ip,
    error_code,
    event_date >= CAST(:from_date AS date)
      AND (:region IS NULL OR aws_region = :region)
      AND (:user IS NULL OR user_name = :user OR session_name = :user) AS is_asked_for
  FROM events
  WHERE event_date BETWEEN date_add('day', -:history_days, CAST(:from_date AS date)) AND CAST(:to_date AS date)
    AND (:account IS NULL OR account_id = :account)
    AND (
      (event_source = 'secretsmanager.amazonaws.com' AND event_name IN ('GetSecretValue', 'BatchGetSecretValue'))
      OR (event_source = 'ssm.amazonaws.com' AND event_name IN (
        'GetParameter', 'GetParameters', 'GetParametersByPath', 'GetParameterHistory'))
      OR (event_source = 'kms.amazonaws.com' AND event_name = 'Decrypt'))
    -- AWS services that act on their own or for somebody.
    AND invoked_by IS NULL
    AND coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'
)
SELECT
  principal,
  account_id,
  -- All that were read, without those that were read before.
  count(DISTINCT CASE WHEN is_asked_for OR event_date < CAST(:from_date AS date) THEN secret END)
    - count(DISTINCT CASE WHEN event_date < CAST(:from_date AS date) THEN secret END) AS new_secrets,
  count(DISTINCT secret) FILTER (WHERE is_asked_for) AS secrets,
  count(*) FILTER (WHERE is_asked_for AND event_source = 'secretsmanager.amazonaws.com') AS secret_reads,
  count(*) FILTER (WHERE is_asked_for AND event_source = 'ssm.amazonaws.com') AS parameter_reads,
  count(*) FILTER (WHERE is_asked_for AND event_source = 'kms.amazonaws.com') AS decrypts,
  count(*) FILTER (WHERE is_asked_for AND error_code <> '') AS failed,
  count(DISTINCT session_name) FILTER (WHERE is_asked_for) AS sessions,
  count(DISTINCT source_ip) FILTER (WHERE is_asked_for) AS source_ips,
  min(event_time) FILTER (WHERE is_asked_for) AS first_read,
  max(event_time) FILTER (WHERE is_asked_for) AS last_read,
  max(actor_type) FILTER (WHERE is_asked_for) AS actor_type
FROM reads
GROUP BY principal, account_id
HAVING count(*) FILTER (WHERE is_asked_for) > 0
ORDER BY new_secrets DESC, secrets DESC, failed DESC, principal, account_id
LIMIT :limit
