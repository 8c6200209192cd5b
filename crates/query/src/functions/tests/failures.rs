//! What fails, and what it says.

use super::{rows, session};

#[tokio::test]
async fn bad_data_is_named() {
    let context = session();
    let long = "x".repeat(200);
    for (sql, part) in [
        ("SELECT from_iso8601_timestamp('yester\nday')", r"from_iso8601_timestamp: 'yester\nday' is no ISO 8601 time"),
        (&format!("SELECT from_iso8601_timestamp('{long}')"), "xxx…' is no ISO 8601 time"),
        ("SELECT date_parse('x', '%Y')", "date_parse: 'x' does not fit '%Y'"),
        ("SELECT json_extract('{}', '$[*]')", "invalid JSON path '$[*]'"),
        ("SELECT regexp_like('a', '(?=b)')", "looking ahead"),
        ("SELECT regexp_extract('a', '(a)', 3)", "has 1 groups, not 3"),
        ("SELECT at_timezone(now(), 'Nowhere')", "there is no time zone 'Nowhere'"),
        ("SELECT date_add('fortnight', 1, now())", "'fortnight' is no unit"),
        ("SELECT json_parse('{')", "json_parse: '{' is no JSON"),
        ("SELECT CAST('x' AS integer)", "x"),
        ("SELECT regexp_extract('x')", "regexp_extract takes 2 to 3 arguments, not 1"),
    ] {
        let error = rows(&context, sql).await.expect_err(sql);
        assert!(error.contains(part), "{sql}\n gives {error}\n not {part}");
    }
}

#[tokio::test]
async fn an_unknown_function_is_named_with_the_nearest() {
    let context = session();
    for (sql, expected) in [
        ("SELECT json_extrct('{}', '$')", "there is no function \"json_extrct\"; did you mean json_extract?"),
        ("SELECT count_iff(true)", "there is no function \"count_iff\"; did you mean count_if?"),
        ("SELECT zzzzzzzzz(1)", "there is no function \"zzzzzzzzz\""),
        (
            "SELECT reduce(ARRAY[1], 0, 1, 2)",
            "reduce() is not supported here; lambdas of two arguments cannot be had: unnest the array and aggregate it",
        ),
    ] {
        assert_eq!(rows(&context, sql).await.expect_err(sql), expected);
    }
}
