-- title: Who acts outside working hours
-- group: classic
-- days: 90
-- limit: 100
-- param: tz text 'UTC': The time zone that hours are counted in, such as Europe/Berlin.
-- param: start_hour integer 6: The first hour of work.
-- param: end_hour integer 22: The first hour after work; below start_hour for a shift over midnight.
-- shown: who, event_name, event_count, last_occurrence
--
-- Named actors at hours when nobody should be at work, by what they did. Automation works at night: look for people's
-- names, and for actions that change something. Calls from the address of an AWS service are left out. Times are UTC.
--
-- The classic query counted 22:00 to 22:59 as working time and knew only UTC. Working time is from start_hour up to,
-- but not including, end_hour, in the time zone asked for.
SELECT
  coalesce(session_name, user_name) AS who,
  event_name,
  count(*) AS event_count,
  date_format(max(from_iso8601_timestamp(event_time)), '%Y-%m-%dT%H:%i:%s+00:00') AS last_occurrence,
  date_format(min(from_iso8601_timestamp(event_time)), '%Y-%m-%dT%H:%i:%s+00:00') AS first_occurrence
FROM iam_events
WHERE event_date BETWEEN :from_date AND :to_date
  AND (:account IS NULL OR account_id = :account)
  AND (:region IS NULL OR aws_region = :region)
  AND (:user IS NULL OR user_name = :user OR session_name = :user)
  AND user_name <> ''
  AND coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'
  AND coalesce(source_ip, '') <> 'AWS Internal'
  AND CASE
    WHEN :start_hour <= :end_hour THEN
      hour(from_iso8601_timestamp(event_time) AT TIME ZONE :tz) < :start_hour
      OR hour(from_iso8601_timestamp(event_time) AT TIME ZONE :tz) >= :end_hour
    ELSE
      hour(from_iso8601_timestamp(event_time) AT TIME ZONE :tz) < :start_hour
      AND hour(from_iso8601_timestamp(event_time) AT TIME ZONE :tz) >= :end_hour
  END
GROUP BY coalesce(session_name, user_name), event_name
ORDER BY who, event_count DESC, event_name
LIMIT :limit
