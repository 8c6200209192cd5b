-- title: The most active people and principals
-- group: classic
-- days: 30
-- limit: 30
-- shown: who, total_actions, first_activity, last_activity, error_count
--
-- Named actors by how much they did, with what failed. A high share of errors is a broken script or somebody trying
-- doors; few days and many different actions are a visitor rather than a job.
--
-- AWS services that act on their own are no named actors and are left out (see user_lookup).
SELECT
  coalesce(session_name, user_name) AS who,
  count(*) AS total_actions,
  date_format(min(from_iso8601_timestamp(event_time)), '%Y-%m-%dT%H:%i:%s+00:00') AS first_activity,
  date_format(max(from_iso8601_timestamp(event_time)), '%Y-%m-%dT%H:%i:%s+00:00') AS last_activity,
  count(*) FILTER (
    WHERE error_code <> '' OR (event_type = 'signin' AND error_message <> '')
  ) AS error_count,
  count(DISTINCT event_name) AS unique_actions,
  count(DISTINCT event_date) AS active_days
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND user_name <> ''
  AND NOT (session_name IS NULL
    AND user_name LIKE '%.amazonaws.com'
    AND coalesce(source_ip, '') LIKE '%.amazonaws.com')
GROUP BY coalesce(session_name, user_name)
ORDER BY total_actions DESC, who
LIMIT :limit
