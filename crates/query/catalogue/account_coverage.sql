-- title: What the lake holds of each account and region
-- group: audit
-- days: 90
--
-- Accounts and regions with the days for which there are events: look here before you say that nothing happened.
-- `days_with_events` below `days_spanned` are days of silence or of missing logs; a `last_event` that lies back is an
-- account whose logs stopped coming.
SELECT
  account_id,
  aws_region,
  min(event_time) AS first_event,
  max(event_time) AS last_event,
  count(DISTINCT event_date) AS days_with_events,
  date_diff('day', min(event_date), max(event_date)) + 1 AS days_spanned,
  count(*) AS events,
  count(*) FILTER (WHERE event_category = 'Data') AS data_events,
  count(DISTINCT event_source) AS services
FROM events
WHERE event_date BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
GROUP BY account_id, aws_region
ORDER BY account_id, aws_region
