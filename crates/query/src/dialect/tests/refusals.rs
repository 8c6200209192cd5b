//! What does not run, and what it says.

use crate::dialect::{DialectError, prepare};
use crate::functions::tests::now;

fn error(sql: &str) -> DialectError {
    prepare(sql, now()).expect_err(sql)
}

#[test]
fn a_syntax_error_is_shown_at_its_place() {
    insta::assert_snapshot!(error("SELECT eventname,\n       count(* AS calls\nFROM events"), @r"
    syntax error at line 2, column 16: expected: ), found: AS
    2 |        count(* AS calls
                       ^
    ");
    insta::assert_snapshot!(error("SELECT 'abc"), @r"
    syntax error at line 1, column 8: unterminated string literal
    1 | SELECT 'abc
               ^
    ");
    insta::assert_snapshot!(error("SELECT 1 FROM"), @r"
    syntax error at line 1, column 14: expected: identifier, found: EOF
    1 | SELECT 1 FROM
                     ^
    ");
    insta::assert_snapshot!(error("SELECT 1 LIMIT 5 nonsense here"), @r"
    syntax error at line 1, column 18: expected the end of the statement, found nonsense
    1 | SELECT 1 LIMIT 5 nonsense here
                         ^
    ");
}

#[test]
fn only_queries_are_allowed() {
    for (sql, what) in [
        ("INSERT INTO events VALUES (1)", "INSERT"),
        ("drop table events", "DROP"),
        ("COPY events TO '/tmp/x.parquet'", "COPY"),
        ("CREATE EXTERNAL TABLE t (a int) STORED AS CSV LOCATION '/etc/passwd'", "CREATE"),
        ("CREATE VIEW v AS SELECT 1", "CREATE"),
        ("SET datafusion.execution.target_partitions = 1", "SET"),
        ("DELETE FROM events", "DELETE"),
        ("UPDATE events SET a = 1", "UPDATE"),
        ("TRUNCATE TABLE events", "TRUNCATE"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("EXECUTE p", "EXECUTE"),
        ("LOAD 'x'", "LOAD"),
        ("GRANT SELECT ON events TO a", "GRANT"),
        ("MSCK REPAIR TABLE events", "MSCK"),
        ("CALL f()", "CALL"),
        ("EXPLAIN INSERT INTO events VALUES (1)", "EXPLAIN of INSERT"),
        ("EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1", "EXPLAIN of CREATE TABLE"),
        ("SELECT * INTO copied FROM events", "SELECT INTO"),
        ("SELECT * FROM events FOR UPDATE", "FOR UPDATE"),
        ("SELECT * FROM (SELECT * FROM events FOR UPDATE) t", "FOR UPDATE"),
        ("WITH t AS (INSERT INTO events VALUES (1) RETURNING *) SELECT * FROM t", "INSERT"),
        ("WITH t AS (DELETE FROM events RETURNING *) SELECT * FROM t", "DELETE"),
        ("WITH t AS (SELECT 1) INSERT INTO events SELECT * FROM t", "INSERT"),
        ("WITH t AS (SELECT 1) DELETE FROM events", "DELETE"),
        ("SELECT 1 WHERE EXISTS (SELECT * INTO x FROM events)", "SELECT INTO"),
        ("SHOW VARIABLES", "SHOW VARIABLES"),
        ("SHOW CREATE TABLE events", "SHOW CREATE"),
    ] {
        assert_eq!(error(sql), DialectError::NotAQuery { what: what.to_owned() }, "{sql}");
    }
    let message = error("INSERT INTO events VALUES (1)").to_string();
    assert_eq!(message, "this is a window on the record: only queries are allowed, not INSERT");
}

#[test]
fn nothing_but_tables_is_read() {
    for sql in [
        "SELECT * FROM 'file.parquet'",
        "SELECT * FROM a, 'file.parquet'",
        "SELECT * FROM a JOIN 'http://x/y.csv' b ON true",
        "SELECT (SELECT max(x) FROM 'file.csv')",
        "SELECT * FROM read_parquet('x')",
        "SELECT * FROM parquet_metadata('x')",
        "SELECT * FROM TABLE(read_csv('x'))",
        "SELECT * FROM a, LATERAL read_csv('x')",
    ] {
        assert!(matches!(error(sql), DialectError::Table { .. }), "{sql} gives {}", error(sql));
    }
}

#[test]
fn one_statement_at_a_time() {
    assert!(prepare("SELECT 1;", now()).is_ok());
    assert!(prepare(";; SELECT 1 ; ;", now()).is_ok());
    assert!(prepare("-- a comment\nSELECT 1 -- another\n;-- a third", now()).is_ok());
    assert!(matches!(error("SELECT 1; DROP TABLE events"), DialectError::Several { .. }));
    assert!(matches!(error("SELECT 1; SELECT 2"), DialectError::Several { .. }));
    for sql in ["", "  ", ";", "-- nothing"] {
        assert_eq!(error(sql), DialectError::Empty, "{sql:?}");
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_overflows() {
    let deep = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let subqueries = format!("{}SELECT 1{}", "SELECT * FROM (".repeat(5_000), ") t".repeat(5_000));
    let chain = format!("SELECT 1{}", " + 1".repeat(100_000));
    let unions = format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(20_000));
    let nots = format!("SELECT {} true", "NOT ".repeat(50_000));
    let minuses = format!("SELECT {}1", "- ".repeat(50_000));
    let casts = format!("SELECT 1{}", "::bigint".repeat(50_000));
    let subscripts = format!("SELECT a{}", "[1]".repeat(50_000));
    let cases = format!("SELECT {}1{}", "CASE WHEN ".repeat(20_000), " THEN 1 END".repeat(20_000));
    let arrays = format!("SELECT {}1{}", "ARRAY[".repeat(20_000), "]".repeat(20_000));
    let types = format!("SELECT CAST(a AS {}int{})", "array(".repeat(20_000), ")".repeat(20_000));
    let angles = format!("SELECT CAST(a AS {}int{})", "array<".repeat(20_000), ">".repeat(20_000));

    let long = format!("SELECT '{}'", "x".repeat(1 << 20));
    let dots = format!("SELECT a{}", ".b".repeat(100_000));
    for sql in
        [deep, subqueries, chain, unions, nots, minuses, casts, subscripts, cases, arrays, types, angles, long, dots]
    {
        let start: String = sql.chars().take(40).collect();
        // A worker's stack.
        let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || prepare(&sql, now()).map(|_| ()));
        let result = thread.expect("a thread").join().expect("no overflow");
        // A long name is flat.
        assert!(result.is_err() || start.starts_with("SELECT a.b"), "{start}");
    }
}

#[test]
fn what_is_large_and_flat_runs() {
    let list = (0..10_000).map(|number| format!("'{number}'")).collect::<Vec<_>>().join(",");
    assert!(prepare(&format!("SELECT * FROM events WHERE event_id IN ({list})"), now()).is_ok());
    let ors = " OR a = 'x'".repeat(1_400);
    let sql = format!("SELECT * FROM events WHERE a = 'x'{ors}");
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || prepare(&sql, now()).is_ok());
    assert!(thread.expect("a thread").join().expect("no overflow"));
}

#[test]
fn what_cannot_be_had_is_named() {
    assert_eq!(
        error("SELECT reduce(a, 0, x, y) FROM events").to_string(),
        "reduce() is not supported here; lambdas of two arguments cannot be had: unnest the array and aggregate it"
    );
    assert_eq!(error("SELECT if(a) FROM events").to_string(), "if: takes a condition and one or two values");
    assert!(matches!(error("SELECT * FROM events TABLESAMPLE BERNOULLI (10)"), DialectError::Unsupported { .. }));
}

/// Athena reads the text itself: what is a comment for us must be one for it.
#[test]
fn what_athena_would_read_otherwise_is_not_sent() {
    use crate::dialect::for_athena;
    for hidden in [
        "/* /* */ INSERT INTO events -- */\nSELECT 1",
        "-- x\rINSERT INTO events\nSELECT 1",
        "DROP TABLE events",
        "EXPLAIN ANALYZE INSERT INTO t SELECT 1",
        "UNLOAD (SELECT 1) TO 's3://b/' WITH (format = 'PARQUET')",
        "SELECT 1; DELETE FROM events",
        "CREATE TABLE t AS SELECT 1",
        "MSCK REPAIR TABLE events",
        "",
    ] {
        assert!(for_athena(hidden).is_err(), "{hidden:?}");
    }
    for (asked, sent) in [
        ("SELECT ';' ;\n", "SELECT ';'"),
        ("-- why\r\nSELECT 1 /* one */", "-- why\r\nSELECT 1 /* one */"),
        ("SHOW TABLES", "SHOW TABLES"),
        // What only the embedded engine cannot do.
        ("SELECT 1 FETCH FIRST 1 ROW WITH TIES", "SELECT 1 FETCH FIRST 1 ROW WITH TIES"),
    ] {
        assert_eq!(for_athena(asked), Ok(sent));
    }
}
