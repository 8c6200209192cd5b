-- title: Who acted, how much and since when
-- group: classic
-- days: 30
-- limit: 25
-- shown: who, total_events, first_activity, last_activity
--
-- The people and principals of the identity events, the busiest first: where to find the name to ask the other queries
-- for. `who` is the name of the acting session where a role acted, else the user's name; never a name that a caller
-- chose in a request. Times are UTC, to the minute.
--
-- AWS services that act on their own are no named actors and are left out. An IAM user whose name looks like a
-- service's is not: the address has to be a service's as well.
SELECT
  coalesce(session_name, user_name) AS who,
  date_format(min(from_iso8601_timestamp(event_time)), '%Y-%m-%d %H:%i') AS first_activity,
  date_format(max(from_iso8601_timestamp(event_time)), '%Y-%m-%d %H:%i') AS last_activity,
  count(*) AS total_events,
  count(DISTINCT event_name) AS unique_actions,
  count(DISTINCT event_date) AS days_active
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
ORDER BY total_events DESC, who
LIMIT :limit
