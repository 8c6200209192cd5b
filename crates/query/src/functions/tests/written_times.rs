//! Views write times as text; what compares that text, or reads it back, compares the times.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Date32Array, RecordBatch, TimestampMicrosecondArray};
use datafusion::prelude::SessionContext;
use event::Timestamp;

use super::{rows, session};

async fn views() -> SessionContext {
    let context = session();
    let times = ["2024-03-14T10:00:00Z", "2024-03-14T10:00:00.5Z", "2024-03-15T00:00:00Z"];
    let micros = times.map(|time| Timestamp::parse(time).expect("a time").micros());
    let days = times.map(|time| Timestamp::parse(time).expect("a time").day().days());
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(TimestampMicrosecondArray::from(micros.to_vec()).with_timezone("UTC"))),
        ("day", Arc::new(Date32Array::from(days.to_vec()))),
    ];
    context.register_batch("raw", RecordBatch::try_from_iter(columns).expect("columns")).expect("a new table");
    let view = "CREATE VIEW written AS SELECT iso8601(time) AS event_time, iso8601_day(day) AS event_date, iso8601_z(time) AS eventtime FROM raw";
    context.sql(view).await.expect("a view").collect().await.expect("a view");
    context
}

#[tokio::test]
async fn comparisons_read_the_column_itself() {
    let context = views().await;
    for (condition, count) in [
        ("event_time >= '2024-03-14T10:00:00.500000+00:00'", "2"),
        ("event_time > '2024-03-14T10:00:00+00:00'", "2"),
        ("event_time = '2024-03-14T10:00:00+00:00'", "1"),
        ("event_time = '2024-03-14'", "0"),
        ("event_time <> '2024-03-14'", "3"),
        ("event_time >= '2024-03-15'", "1"),
        ("event_time < '2024'", "0"),
        ("event_time BETWEEN '2024-03-14' AND '2024-03-15'", "2"),
        ("event_time IN ('2024-03-14T10:00:00+00:00', '2024-03-15T00:00:00+00:00')", "2"),
        ("event_date = '2024-03-14'", "2"),
        ("event_date >= '2024-03'", "3"),
        ("event_date > date_format(current_date - interval '1' day, '%Y-%m-%d')", "1"),
        ("event_time NOT BETWEEN '2024-03-14' AND '2024-03-15'", "1"),
        ("eventtime >= '2024-03-14T10:00:00Z'", "3"),
        ("eventtime > '2024-03-14T10:00:00Z'", "1"),
        ("eventtime BETWEEN '2024-03-14T10:00:00Z' AND '2024-03-14T23:59:59Z'", "2"),
        ("from_iso8601_timestamp(eventtime) = from_iso8601_timestamp('2024-03-14T10:00:00Z')", "2"),
        ("from_iso8601_timestamp(eventtime) > from_iso8601_timestamp('2024-03-14T10:00:00.2Z')", "1"),
        ("from_iso8601_timestamp(eventtime) > date_add('hour', -13, now())", "1"),
        ("from_iso8601_timestamp(event_time) > from_iso8601_timestamp('2024-03-14T12:00:00Z')", "1"),
    ] {
        let found = rows(&context, &format!("SELECT count(*) FROM written WHERE {condition}")).await;
        assert_eq!(found, Ok(vec![vec![count.to_owned()]]), "{condition}");
        let plan = rows(&context, &format!("EXPLAIN SELECT 1 FROM written WHERE {condition}")).await.expect(condition);
        let plan = plan.concat().concat();
        let reads = ["iso8601", "whole_second"].iter().all(|function| !plan.contains(function));
        assert!(reads, "{condition}:\n{plan}");
    }
}

#[tokio::test]
async fn what_is_read_back_is_the_column_itself() {
    let context = views().await;
    let first_and_last = "min(from_iso8601_timestamp(event_time)), max(from_iso8601_timestamp(event_time))";
    let each = "from_iso8601_timestamp(event_time), hour(from_iso8601_timestamp(event_time)) ORDER BY 1";
    let (ten, half, midnight) = ("2024-03-14T10:00:00Z", "2024-03-14T10:00:00.500Z", "2024-03-15T00:00:00Z");
    for (question, wanted) in [
        (format!("SELECT {first_and_last} FROM written"), vec![vec![ten, midnight]]),
        (format!("SELECT {first_and_last} FROM written AS w"), vec![vec![ten, midnight]]),
        (
            format!("SELECT {first_and_last} FROM written WHERE event_date = '2024-03-14' AND event_time < '2025'"),
            vec![vec![ten, half]],
        ),
        (
            "SELECT max(from_iso8601_timestamp(eventtime)) FROM written WHERE event_date < '2024-03-15'".to_owned(),
            vec![vec![ten]],
        ),
        (
            format!("SELECT {}", each.replace(" ORDER", " FROM written ORDER")),
            vec![vec![ten, "10"], vec![half, "10"], vec![midnight, "0"]],
        ),
    ] {
        let found = rows(&context, &question).await.expect(&question);
        assert_eq!(found, wanted, "{question}");
        let plan = rows(&context, &format!("EXPLAIN {question}")).await.expect(&question).concat().concat();
        let writes = ["iso8601(raw.time)", "iso8601_z(raw.time)"].iter().any(|call| plan.contains(call));
        assert!(!writes, "{question}:\n{plan}");
    }
    // Where the text itself is wanted too, it is written, and the time is not read from it.
    let both = "SELECT event_time, from_iso8601_timestamp(event_time) FROM written WHERE event_date > '2024-03-14'";
    let found = rows(&context, both).await;
    assert_eq!(found, Ok(vec![vec!["2024-03-15T00:00:00+00:00".to_owned(), midnight.to_owned()]]));
}
