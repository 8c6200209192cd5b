-- title: Activity and errors by hour of the day
-- group: classic
-- days: 7
--
-- The identity events of a week by the hour of the day, in UTC, with how many people and principals were active and how
-- much failed. Hours without an event have no row.
SELECT
  hour(from_iso8601_timestamp(event_time)) AS hour_of_day,
  count(*) AS total_events,
  count(DISTINCT coalesce(session_name, user_name)) AS active_users,
  count(*) FILTER (
    WHERE error_code <> '' OR (event_type = 'signin' AND error_message <> '')
  ) AS error_events,
  round(
    100.0 * CAST(count(*) FILTER (
      WHERE error_code <> '' OR (event_type = 'signin' AND error_message <> '')
    ) AS double) / CAST(count(*) AS double), 2
  ) AS error_rate_pct
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
GROUP BY hour(from_iso8601_timestamp(event_time))
ORDER BY hour_of_day
