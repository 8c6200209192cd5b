//! Pruning, limits, refusals: the engine over real lakes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use query::{Now, Source};
use serde_json::{Value, json};

use crate::world::{NOW, answer, ask, block, cell, engine, lake, lake_in_parts, month, rows, time};

fn texts(engine: &query::Engine, sql: &str) -> Vec<Vec<String>> {
    let (_, rows) = answer(engine, sql).expect("an answer");
    rows.iter().map(|row| row.iter().map(cell).collect()).collect()
}

fn problem(engine: &query::Engine, sql: &str) -> String {
    answer(engine, sql).expect_err("refused").to_string()
}

/// Two queries as users of the classic tracker wrote them for Athena, untouched.
#[test]
fn classic_athena_queries_run_verbatim() {
    let folder = tempfile::tempdir().expect("a folder");
    let records = month(NOW);
    let engine = engine(Some(lake(folder.path(), &records)), NOW);
    let rows = texts(
        &engine,
        "SELECT
    event_date,
    user_name,
    source_ip,
    event_name,
    COALESCE(error_code, error_message) AS error,
    COUNT(*) AS failure_count
FROM iam_events
WHERE (error_code IS NOT NULL OR error_message IS NOT NULL)
    AND (event_name IN ('ConsoleLogin', 'AssumeRole', 'GetSessionToken') OR event_type = 'signin')
    AND date_parse(event_date, '%Y-%m-%d') >= current_date - interval '7' day
GROUP BY event_date, user_name, source_ip, event_name, COALESCE(error_code, error_message)
ORDER BY failure_count DESC, event_date DESC
LIMIT 100;",
    );
    assert!(!rows.is_empty());
    let counted = texts(
        &engine,
        "SELECT sum(1) FROM iam_events WHERE (error_code IS NOT NULL OR error_message IS NOT NULL) \
         AND (event_name IN ('ConsoleLogin', 'AssumeRole', 'GetSessionToken') OR event_type = 'signin') \
         AND event_date >= '2026-11-13'",
    );
    let sum: u64 = rows.iter().map(|row| row[5].parse::<u64>().expect("a number")).sum();
    assert_eq!(counted[0][0], sum.to_string());

    let rows = texts(
        &engine,
        "SELECT
    user_name,
    date_format(MIN(from_iso8601_timestamp(event_time)), '%Y-%m-%d %H:%i') AS first_activity,
    date_format(MAX(from_iso8601_timestamp(event_time)), '%Y-%m-%d %H:%i') AS last_activity,
    COUNT(*) AS total_events,
    COUNT(DISTINCT event_name) AS unique_actions,
    CARDINALITY(ARRAY_AGG(DISTINCT event_date)) AS days_active
FROM iam_events
WHERE user_name IS NOT NULL
    AND user_name != ''
    AND from_iso8601_timestamp(event_time) >= current_timestamp - interval '30' day
    AND year = '2026' AND month IN ('10', '11')
GROUP BY user_name
HAVING COUNT(*) > 1
ORDER BY total_events DESC
LIMIT 25",
    );
    assert!(rows.len() > 5);
    assert!(rows.iter().all(|row| row[1].len() == 16 && row[1] <= row[2]), "{rows:?}");
    assert!(rows.windows(2).all(|pair| pair[0][3].parse::<u64>().ok() >= pair[1][3].parse::<u64>().ok()));
}

#[test]
fn a_missing_lake_is_an_empty_one() {
    let engine = engine(None, NOW);
    assert_eq!(texts(&engine, "SELECT count(*) FROM events"), [["0"]]);
    assert!(texts(&engine, "SELECT * FROM iam_events").is_empty());
    assert!(texts(&engine, "SELECT eventname, useridentity.arn FROM cloudtrail").is_empty());
}

#[test]
fn whatever_writes_or_reads_elsewhere_is_refused() {
    let engine = engine(None, NOW);
    for sql in [
        "INSERT INTO events VALUES (1)",
        "DELETE FROM events",
        "UPDATE events SET event_id = 'x'",
        "DROP TABLE events",
        "CREATE TABLE x AS SELECT * FROM events",
        "CREATE VIEW x AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "COPY events TO 'out.csv'",
        "COPY (SELECT 1) TO 'out.csv' STORED AS CSV",
        "SELECT * INTO x FROM events",
        "SET datafusion.execution.batch_size = 1",
        "WITH x AS (INSERT INTO events VALUES (1)) SELECT * FROM x",
        "EXPLAIN ANALYZE INSERT INTO events VALUES (1)",
        "TRUNCATE TABLE events",
        "SELECT 1; SELECT 2",
        "CALL x()",
        "GRANT SELECT ON events TO x",
    ] {
        let problem = problem(&engine, sql);
        assert!(
            problem.contains("only queries are allowed")
                || problem.contains("one statement")
                || problem.contains("syntax error"),
            "{sql}: {problem}"
        );
    }
    for sql in ["SELECT * FROM '/etc/passwd'", "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM \"/etc/passwd\""]
    {
        answer(&engine, sql).expect_err(sql);
    }
}

#[test]
fn a_mistake_is_named_with_its_place_or_what_was_meant() {
    let engine = engine(None, NOW);
    assert!(problem(&engine, "SELECT event_nam FROM events").contains("did you mean event_name?"));
    assert!(problem(&engine, "SELECT 1 FROM iam_event").contains("did you mean iam_events?"));
    let text = problem(&engine, "SELECT event_name\nFROM events\nWHERE AND x = 1");
    assert!(text.contains("line 3"), "{text}");
    assert!(problem(&engine, "SELECT json_extrct(rest, '$.a') FROM events").contains("did you mean json_extract?"));
}

#[test]
fn relative_windows_honour_now() {
    let engine = engine(None, "2024-02-29T23:30:00Z");
    let rows = texts(
        &engine,
        "SELECT current_date, current_date - interval '1' day, now(), date_add('month', -1, current_date)",
    );
    assert_eq!(rows, [["2024-02-29", "2024-02-28", "2024-02-29T23:30:00Z", "2024-01-29"].map(str::to_owned)]);
}

/// A session outlives the day it began on: the clock is read for each statement.
#[test]
fn now_is_when_the_statement_is_asked() {
    static IS_LATER: AtomicBool = AtomicBool::new(false);
    let clock = || time(if IS_LATER.load(Ordering::SeqCst) { "2026-11-22T12:00:00Z" } else { NOW });
    let options = query::EngineOptions { now: Now::Clock(clock), ..crate::world::options(NOW) };
    let engine = query::Engine::new(Source::folder("tests/no-lake".into()), Vec::new(), options).expect("an engine");
    block(async {
        let session = engine.session().await.expect("a session");
        for (is_later, expected) in [(false, "2026-11-20"), (true, "2026-11-22")] {
            IS_LATER.store(is_later, Ordering::SeqCst);
            let (_, rows) = ask(&session, "SELECT CAST(current_date AS varchar)").await.expect("an answer");
            assert_eq!(rows, [[json!(expected)]]);
        }
    });
}

/// Whoever asks before the first events are there need not begin again when they are.
#[test]
fn a_lake_that_is_made_later_is_found() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("lake");
    let engine = query::Engine::new(Source::folder(folder.clone()), Vec::new(), crate::world::options(NOW));
    let engine = engine.expect("an engine");
    let records = month(NOW)[..100].to_vec();
    block(async {
        let session = engine.session().await.expect("a session");
        let count = async || ask(&session, "SELECT count(*) FROM iam_events").await.expect("an answer").1;
        assert_eq!(count().await, [[json!(0)]]);
        tokio::task::spawn_blocking(move || lake(&folder, &records)).await.expect("a lake");
        assert_ne!(count().await, [[json!(0)]]);
    });
}

/// Sorting far more than the limit of memory allows goes through the disk and still comes out sorted.
#[test]
fn what_does_not_fit_into_memory_goes_through_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = lake(folder.path(), &month(NOW));
    let options = query::EngineOptions { memory: 16 << 20, threads: 1, ..crate::world::options(NOW) };
    let engine = query::Engine::new(Source::lake(lake), Vec::new(), options).expect("an engine");
    block(async {
        let session = engine.session().await.expect("a session");
        let sql = "SELECT request_id, user_identity || CAST(n AS varchar), rest || CAST(n AS varchar) FROM events \
                   CROSS JOIN unnest(sequence(1, 12)) AS copies(n) ORDER BY request_id";
        let mut answer = session.ask(sql).await.expect("an answer");
        let (mut count, mut last) = (0, String::new());
        while let Some(block) = answer.next().await.expect("rows") {
            for row in 0..block.len() {
                if let Value::String(id) = &block.row(row)[0] {
                    assert!(last <= *id);
                    last.clone_from(id);
                }
                count += 1;
            }
        }
        assert!(count > 120_000);
        assert!(answer.cost().spilled > 0, "{:?}", answer.cost());
    });
}

/// What it costs to read an answer to its end.
fn cost(engine: &query::Engine, sql: &str) -> query::Cost {
    block(async {
        let session = engine.session().await.expect("a session");
        let mut answer = session.ask(sql).await.expect("an answer");
        while answer.next().await.expect("rows").is_some() {}
        answer.cost()
    })
}

/// Where a day's files hold one region or account each, as trails deliver them, the others are not opened.
#[test]
fn a_region_or_an_account_is_read_from_its_own_files() {
    let records = month(NOW);
    for (field, column) in [("awsRegion", event::Column::AwsRegion), ("recipientAccountId", event::Column::AccountId)] {
        let mut parts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for record in &records {
            let parsed: Value = serde_json::from_str(record).expect("JSON");
            parts.entry(parsed[field].as_str().expect("text").to_owned()).or_default().push(record.clone());
        }
        let folder = tempfile::tempdir().expect("a folder");
        let options = lake::WriterOptions { compacts: false, ..lake::WriterOptions::default() };
        let slices: Vec<&[String]> = parts.values().map(Vec::as_slice).collect();
        let lake = lake_in_parts(folder.path(), &slices, options);
        let files = lake.active_files().expect("files");
        let engine = engine(Some(lake), NOW);
        for name in parts.keys().map(String::as_str).chain(["nowhere"]) {
            let sql = format!("SELECT event_id, event_name FROM events WHERE {} = '{name}'", column.name());
            let own = files.iter().filter(|file| file.bounds(column) == Some((name, name))).count();
            let opened = usize::try_from(cost(&engine, &sql).files).expect("some");
            // A file that two threads share is opened by each.
            assert!((own..=own * 2).contains(&opened) && opened < files.len(), "{name}: {opened}, of {own} of its own");
        }
    }
}

/// JSON is read for the rows that are asked for, not for all that are looked at.
#[test]
fn json_is_read_for_the_rows_that_are_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    // One day has it all, in several row groups, as a day of a large lake is.
    let on_one_day = |record: &String| {
        let mut record: Value = serde_json::from_str(record).expect("JSON");
        record["eventTime"] = json!("2026-11-10T12:00:00Z");
        record.to_string()
    };
    let records: Vec<String> = month(NOW).iter().map(on_one_day).collect();
    let options = lake::WriterOptions { row_group_rows: 500, ..lake::WriterOptions::default() };
    let engine = engine(Some(lake_in_parts(folder.path(), &[&records], options)), NOW);
    let (_, ids) = answer(&engine, "SELECT min(event_id) FROM events").expect("an answer");
    let bytes = |columns: &str, condition: &str| {
        cost(&engine, &format!("SELECT {columns} FROM events WHERE {condition}")).bytes
    };
    const JSON: &str = "request_parameters, response_elements, user_identity, rest";
    // No statistics and no bloom filter answer it: every id is looked at.
    let one = format!("lower(event_id) = '{}'", cell(&ids[0][0]));
    let (every_id, all) = (bytes("event_id", "true"), bytes(JSON, "true"));
    assert_eq!(bytes("event_id", &one), every_id);
    let json_of_one = bytes(JSON, &one) - every_id;
    assert!(json_of_one > 0 && json_of_one * 10 < all, "{json_of_one} of {all}");
}

#[test]
fn a_day_is_read_from_its_own_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = lake(folder.path(), &month(NOW));
    let all = lake.active_files().expect("files").len() as u64;
    let engine = engine(Some(lake), NOW);
    let files = |sql: &str| cost(&engine, sql).files;
    let of_a_day = files("SELECT event_id, event_name FROM events WHERE event_date = DATE '2026-11-10'");
    assert!(of_a_day > 0 && of_a_day * 10 < all, "{of_a_day} of {all}");
    // The classic view's text day, its parts, and a time all lead to the same files.
    for condition in ["event_date = '2026-11-10'", "year = '2026' AND month = '11' AND day = '10'"] {
        assert_eq!(files(&format!("SELECT event_id, event_name FROM iam_events WHERE {condition}")), of_a_day);
    }
    let timed = files(
        "SELECT event_id, event_name FROM events WHERE event_time >= TIMESTAMP '2026-11-10 00:00:00' \
         AND event_time < TIMESTAMP '2026-11-11 00:00:00'",
    );
    assert_eq!(timed, of_a_day);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Pruned by the log, by row groups and by bloom filters equals looking at every row.
    #[test]
    fn pruned_equals_full_scan(
        day in 1u32..20, days in 0u32..4,
        column in proptest::sample::select(vec!["aws_region", "account_id", "user_name", "event_name", "access_key_id", "source_ip", "session_name", "event_id"]),
        pick in any::<proptest::sample::Index>(),
    ) {
        thread_local! {
            static WORLD: (tempfile::TempDir, query::Engine, Vec<Value>) = {
                let folder = tempfile::tempdir().expect("a folder");
                let engine = engine(Some(lake(folder.path(), &month(NOW))), NOW);
                let (columns, rows) = answer(&engine, "SELECT event_id, CAST(event_date AS varchar) AS event_date, aws_region, account_id, user_name, event_name, access_key_id, source_ip, session_name FROM events").expect("all");
                let objects = rows.into_iter().map(|row| columns.iter().cloned().zip(row).collect()).collect();
                (folder, engine, objects)
            };
        }
        WORLD.with(|(_, engine, all)| {
            let (first, last) = (format!("2026-11-{day:02}"), format!("2026-11-{:02}", day + days));
            let wanted = &all[pick.index(all.len())][column];
            let Some(text) = wanted.as_str() else { return Ok(()) };
            let mut expected: Vec<&str> = all
                .iter()
                .filter(|row| row[column] == *wanted && row["event_date"].as_str().is_some_and(|date| *first <= *date && *date <= *last))
                .filter_map(|row| row["event_id"].as_str())
                .collect();
            expected.sort_unstable();
            let sql = format!(
                "SELECT event_id FROM events WHERE event_date BETWEEN DATE '{first}' AND DATE '{last}' AND {column} = '{}' ORDER BY 1",
                text.replace('\'', "''")
            );
            let found = texts(engine, &sql);
            let found: Vec<&str> = found.iter().map(|row| row[0].as_str()).collect();
            prop_assert_eq!(found, expected);
            Ok(())
        })?;
    }
}

/// A block of an answer is a handful of rows, however many there are.
#[test]
fn many_rows_come_in_blocks() {
    let engine = engine(None, NOW);
    block(async {
        let session = engine.session().await.expect("a session");
        let sql = "SELECT a.value * 1000 + b.value FROM unnest(sequence(1, 2000)) AS a(value) CROSS JOIN unnest(sequence(1, 1000)) AS b(value)";
        let mut answer = session.ask(sql).await.expect("an answer");
        let (mut count, mut largest) = (0, 0);
        while let Some(block) = answer.next().await.expect("rows") {
            count += block.len();
            largest = largest.max(block.len());
        }
        assert_eq!(count, 2_000_000);
        assert!(largest <= 65_536, "{largest}");
    });
}

#[test]
fn values_keep_their_kind() {
    let engine = engine(None, NOW);
    let sql = "SELECT 1 AS i, 1.5e0 AS d, true AS b, 'x' AS t, CAST(NULL AS varchar) AS n, DATE '2026-01-02' AS day, \
               TIMESTAMP '2026-01-02 03:04:05' AS at, ARRAY[1, 2] AS l, MAP(ARRAY['k'], ARRAY['v']) AS m";
    let (columns, rows) = block(async {
        let session = engine.session().await.expect("a session");
        rows(session.ask(sql).await.expect("an answer")).await.expect("rows")
    });
    assert_eq!(columns, ["i", "d", "b", "t", "n", "day", "at", "l", "m"]);
    let expected = json!([1, 1.5, true, "x", null, "2026-01-02", "2026-01-02T03:04:05Z", [1, 2], { "k": "v" }]);
    assert_eq!(Value::from(rows[0].clone()), expected);
    let _ = (ask, time);
}

/// A condition selects the same rows whether the engine may rearrange it (`WHERE`) or not (`CASE`).
#[test]
fn conditions_on_defaults_select_the_same_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(Some(lake(folder.path(), &month(NOW))), NOW);
    for condition in [
        "coalesce(error_code, '') = ''",
        "coalesce(error_code, 'AccessDenied') = 'AccessDenied'",
        "coalesce(error_code, 'AccessDenied') <> 'AccessDenied'",
        "NOT coalesce(error_code, 'AccessDenied') = 'AccessDenied'",
        "coalesce(read_only, false) = false",
        "coalesce(source_ip, '') NOT LIKE '%.amazonaws.com'",
        "coalesce(source_ip, '') LIKE '%'",
        "coalesce(session_name, 'x') IN ('x', 'y')",
        "coalesce(session_name, 'x') NOT IN ('x', 'y')",
        "coalesce(user_name, 'm') < 'm'",
        "coalesce(error_code, user_name) = 'root' OR coalesce(error_code, '') > 'B'",
        "lower(user_name) = 'root'",
        "regexp_like(event_name, '^(Create|Delete)')",
    ] {
        let selected = texts(&engine, &format!("SELECT count(*) FROM events WHERE {condition}"));
        let sql = format!("SELECT sum(CASE WHEN {condition} THEN 1 ELSE 0 END) FROM events");
        assert_eq!(selected, texts(&engine, &sql), "{condition}");
    }
}

/// What makes questions cheap is in their plans.
#[test]
fn plans_have_what_makes_them_cheap() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(Some(lake(folder.path(), &month(NOW)[..100])), NOW);
    for (sql, expected) in [
        ("SELECT count(*) FROM events WHERE role_arn LIKE '%:role/aws-reserved/%'", "like(events.role_arn"),
        ("SELECT CASE WHEN role_arn LIKE '%x%' THEN 1 END FROM events", "like(events.role_arn"),
        ("SELECT count(*) FROM events WHERE event_source LIKE 'iam%'", "events.event_source LIKE"),
        ("SELECT 1 FROM events WHERE coalesce(error_code, '') = ''", "events.error_code IS NULL OR"),
        ("SELECT 1 FROM events WHERE coalesce(source_ip, '') NOT LIKE '%.com'", "events.source_ip IS NULL OR"),
        ("SELECT user_name, count(DISTINCT event_name) FROM events GROUP BY 1", "count_distinct(events.event_name)"),
        ("SELECT event_name FROM iam_events WHERE event_time >= '2026-11-01'", "events.event_time >="),
    ] {
        let plan = texts(&engine, &format!("EXPLAIN {sql}"));
        assert!(plan[0][1].contains(expected), "{sql}: {}", plan[0][1]);
    }
}

/// Distinct values are counted by group as by two groupings, also where memory is short and groups go through the disk.
#[test]
fn distinct_values_are_counted_by_group() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(Some(lake(folder.path(), &month(NOW))), NOW);
    for value in ["event_name", "event_date", "event_time", "error_code", "read_only", "source_ip"] {
        let counted = format!(
            "SELECT user_name, aws_region, count(DISTINCT {value}) AS n, count(DISTINCT {value}) FILTER (WHERE read_only) \
             AS reads, max(event_id) AS last FROM events GROUP BY user_name, aws_region ORDER BY 1, 2"
        );
        let by_two_groupings = format!(
            "SELECT user_name, aws_region, count({value}) AS n, count(CASE WHEN reads THEN {value} END) AS reads, \
             max(last) AS last FROM (SELECT user_name, aws_region, {value}, bool_or(coalesce(read_only, false)) AS reads, \
             max(event_id) AS last FROM events GROUP BY user_name, aws_region, {value}) AS values_of_each \
             GROUP BY user_name, aws_region ORDER BY 1, 2"
        );
        assert_eq!(texts(&engine, &counted), texts(&engine, &by_two_groupings), "{value}");
    }
    let named = answer(&engine, "SELECT aws_region, count(DISTINCT user_name) FROM events GROUP BY aws_region");
    assert_eq!(named.expect("an answer").0, ["aws_region", "count(DISTINCT events.user_name)"]);
}

/// Questions are answered while events are written: each sees a whole commit, never a part, and never an older one than
/// the question before.
#[test]
fn readers_see_whole_commits_while_events_are_written() {
    const COMMITS: usize = 12;
    let folder = tempfile::tempdir().expect("a folder");
    let mut records = month(NOW);
    let mut known = std::collections::BTreeSet::new();
    records.retain(|record| {
        let event = event::decode::record(record).expect("a record");
        known.insert(event.event_id().expect("an id").to_owned())
    });
    let parts: Vec<&[String]> = records.chunks(records.len().div_ceil(COMMITS)).collect();
    let lake = lake(folder.path(), &[]);
    let writer = lake.writer(lake::WriterOptions::default()).expect("a writer");
    let ends: Vec<usize> = parts
        .iter()
        .scan(0, |sum, part| {
            *sum += part.len();
            Some(*sum)
        })
        .collect();
    std::thread::scope(|scope| {
        let reader = || {
            let engine = engine(Some(lake.clone()), NOW);
            let mut last = 0;
            let mut seen = 0;
            while last < records.len() {
                let rows = texts(&engine, "SELECT count(*), count(DISTINCT event_id) FROM events");
                let found: usize = rows[0][0].parse().expect("a number");
                assert_eq!(rows[0][0], rows[0][1]);
                assert!(found == 0 || ends.contains(&found), "{found} events are no whole commit");
                assert!(found >= last, "{found} events after {last}");
                seen += usize::from(found > last);
                last = found;
            }
            seen
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for (number, part) in parts.iter().enumerate() {
            let events: Vec<event::Event<'_>> =
                part.iter().map(|record| event::decode::record(record).expect("a record")).collect();
            writer.append(&events, &format!("trail/{number}.json"), time(NOW)).expect("appended");
            writer.commit().expect("committed");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        for reader in readers {
            assert!(reader.join().expect("a reader") > 1, "nobody read while events were written");
        }
    });
}
