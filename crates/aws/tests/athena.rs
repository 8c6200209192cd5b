//! The client of Athena against recorded answers: throttled, failed, cancelled, reused, of two pages, interrupted.
//!
//! What reads the environment runs in a process of its own, so that each has its own credentials and endpoint.

#![expect(clippy::unwrap_used, reason = "a test's set-up fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws::athena::{Athena, AthenaError, NewWorkgroup, Place, StatementType, Table};
use aws::{Access, Aws};
use pipeline::service::CallError;
use serde_json::{Value, json};

/// One call that is expected, and what is answered.
type Exchange = (&'static str, u16, Value);

/// Answers the calls of a process in their order, and returns what was asked.
fn play(process: &str, exchanges: Vec<Exchange>) -> Vec<Value> {
    serve(process, move |server| {
        let answer = |(expected, status, body): Exchange| {
            let (connection, target, asked) = call(server);
            assert_eq!(target, expected);
            answer(connection, status, &body);
            asked
        };
        exchanges.into_iter().map(answer).collect()
    })
}

/// Runs a process with a server beside it.
fn serve<T: Send + 'static>(process: &str, work: impl FnOnce(&TcpListener) -> T + Send + 'static) -> T {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", server.local_addr().unwrap());
    let answers = std::thread::spawn(move || work(&server));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([process, "--exact", "--ignored", "--nocapture"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .envs([("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "hush"), ("AWS_REGION", "eu-central-1")])
        .envs([("AWS_CONFIG_FILE", "none"), ("AWS_SHARED_CREDENTIALS_FILE", "none")])
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL_ATHENA", &endpoint);
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{process}: {said}");
    answers.join().unwrap()
}

/// The next call: its operation and what it asks.
fn call(server: &TcpListener) -> (TcpStream, String, Value) {
    let (connection, _) = server.accept().unwrap();
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let head: Vec<String> = reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    let field = |name: &str| {
        let line = head.iter().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")));
        line.map(|line| line[name.len() + 2..].to_owned()).unwrap_or_default()
    };
    assert_eq!(field("content-type"), "application/x-amz-json-1.1");
    assert!(field("authorization").contains("/eu-central-1/athena/aws4_request"), "{head:?}");
    let mut asked = Vec::new();
    reader.take(field("content-length").parse().unwrap()).read_to_end(&mut asked).unwrap();
    let target = field("x-amz-target").strip_prefix("AmazonAthena.").unwrap().to_owned();
    (connection, target, serde_json::from_slice(&asked).unwrap())
}

fn answer(mut connection: TcpStream, status: u16, body: &Value) {
    let body = body.to_string();
    let length = body.len();
    write!(connection, "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").unwrap();
}

fn started() -> Exchange {
    ("StartQueryExecution", 200, json!({ "QueryExecutionId": "q-1" }))
}

fn throttled(target: &'static str) -> Exchange {
    (
        target,
        400,
        json!({ "__type": "TooManyRequestsException", "message": "Rate exceeded", "Reason": "CONCURRENT_QUERY_LIMIT_EXCEEDED" }),
    )
}

fn looked(kind: &str, status: Value, statistics: Value) -> Exchange {
    let execution =
        json!({ "QueryExecutionId": "q-1", "StatementType": kind, "Status": status, "Statistics": statistics });
    ("GetQueryExecution", 200, json!({ "QueryExecution": execution }))
}

fn row(cells: &[Option<&str>]) -> Value {
    let cell = |cell: &Option<&str>| cell.map_or_else(|| json!({}), |text| json!({ "VarCharValue": text }));
    json!({ "Data": cells.iter().map(cell).collect::<Vec<Value>>() })
}

fn page(rows: &[Value], next: Option<&str>) -> Exchange {
    let columns = json!([
        { "CatalogName": "hive", "Name": "who", "Label": "who", "Type": "varchar", "Nullable": "UNKNOWN" },
        { "CatalogName": "hive", "Name": "n", "Label": "n", "Type": "bigint", "Nullable": "UNKNOWN" },
    ]);
    let mut answer =
        json!({ "ResultSet": { "Rows": rows, "ResultSetMetadata": { "ColumnInfo": columns } }, "UpdateCount": 0 });
    if let Some(next) = next {
        answer["NextToken"] = json!(next);
    }
    ("GetQueryResults", 200, answer)
}

fn athena(stop: Option<Arc<AtomicBool>>) -> Athena {
    Aws::open(&Access::default(), stop).unwrap().unnamed().athena(None)
}

fn place() -> Place {
    Place {
        workgroup: Some("trailhound".to_owned()),
        database: Some("trails".to_owned()),
        output_location: Some("s3://results/".to_owned()),
        reuse_minutes: 60,
    }
}

#[test]
fn a_query_is_sent_once_waited_for_and_read_to_its_last_page() {
    let head = row(&[Some("who"), Some("n")]);
    // Somebody of the same name as the column is a row like any other.
    let asked = play(
        "asks",
        vec![
            throttled("StartQueryExecution"),
            ("StartQueryExecution", 500, json!({ "__type": "InternalServerException" })),
            started(),
            looked("DML", json!({ "State": "QUEUED" }), json!({})),
            throttled("GetQueryExecution"),
            looked("DML", json!({ "State": "RUNNING" }), json!({ "DataScannedInBytes": 7 })),
            looked(
                "DML",
                json!({ "State": "SUCCEEDED", "SubmissionDateTime": 1.7e9 }),
                json!({
                    "DataScannedInBytes": 12_345_678, "EngineExecutionTimeInMillis": 900,
                    "TotalExecutionTimeInMillis": 1200,
                    "ResultReuseInformation": { "ReusedPreviousResult": false },
                }),
            ),
            page(&[head.clone(), row(&[Some("alice"), Some("3")]), row(&[None, Some("2")])], Some("t-1")),
            throttled("GetQueryResults"),
            page(&[head, row(&[Some(""), None])], None),
        ],
    );
    let tokens: Vec<&str> = asked[..3].iter().map(|asked| asked["ClientRequestToken"].as_str().unwrap()).collect();
    assert!(tokens[0].len() == 32 && tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    assert_eq!(asked[2]["QueryString"], "SELECT who, count(*) AS n FROM t");
    assert_eq!(asked[2]["WorkGroup"], "trailhound");
    assert_eq!(asked[2]["QueryExecutionContext"], json!({ "Database": "trails" }));
    assert_eq!(asked[2]["ResultConfiguration"], json!({ "OutputLocation": "s3://results/" }));
    let reuse = json!({ "ResultReuseByAgeConfiguration": { "Enabled": true, "MaxAgeInMinutes": 60 } });
    assert_eq!(asked[2]["ResultReuseConfiguration"], reuse);
    assert_eq!(asked[7], json!({ "QueryExecutionId": "q-1", "MaxResults": 1000 }));
    assert_eq!(asked[9]["NextToken"], "t-1");
}

#[test]
#[ignore = "a process that another test starts"]
fn asks() {
    let athena = athena(None);
    let execution = athena.run("SELECT who, count(*) AS n FROM t", &place()).unwrap();
    assert_eq!((execution.id.as_str(), execution.kind), ("q-1", StatementType::Query));
    assert_eq!((execution.scan.bytes, execution.scan.is_reused), (12_345_678, false));
    assert_eq!((execution.engine.as_millis(), execution.total.as_millis()), (900, 1200));
    let mut rows = athena.rows(&execution).unwrap();
    let columns: Vec<&str> = rows.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["who", "n"]);
    assert_eq!(rows.next_page().unwrap().unwrap(), [[json!("alice"), json!(3)], [Value::Null, json!(2)]]);
    // Only the first page has the columns' names: here they are somebody's.
    assert_eq!(rows.next_page().unwrap().unwrap(), [[json!("who"), json!("n")], [json!(""), Value::Null]]);
    assert_eq!(rows.next_page().unwrap(), None);
}

#[test]
fn what_a_statement_ends_with_is_told() {
    let ended = |kind, state: &str, reason: &str, error: Value| {
        let status = json!({ "State": state, "StateChangeReason": reason, "AthenaError": error });
        [started(), looked(kind, status, json!({ "DataScannedInBytes": 5 }))]
    };
    let user = json!({ "ErrorCategory": 2, "ErrorType": 1006, "Retryable": false, "ErrorMessage": "x" });
    let system = json!({ "ErrorCategory": 1, "ErrorType": 233, "Retryable": true, "ErrorMessage": "x" });
    let s3 = "Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)";
    let mut exchanges = Vec::new();
    exchanges.extend(ended("DML", "FAILED", "COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved", user.clone()));
    exchanges.extend(ended("DML", "FAILED", "GENERIC_INTERNAL_ERROR", system));
    exchanges.extend(ended("DML", "FAILED", s3, user));
    exchanges.extend(ended("DML", "CANCELLED", "Query cancelled! : Bytes scanned limit was exceeded", Value::Null));
    let reused = json!({ "DataScannedInBytes": 0, "ResultReuseInformation": { "ReusedPreviousResult": true } });
    exchanges.extend([started(), looked("DML", json!({ "State": "SUCCEEDED" }), reused)]);
    let denied = "User: u is not authorized to perform: athena:StartQueryExecution on resource: w";
    exchanges.push(("StartQueryExecution", 400, json!({ "__type": "AccessDeniedException", "Message": denied })));
    exchanges.push((
        "StartQueryExecution",
        400,
        json!({ "__type": "InvalidRequestException", "Message": "No output location provided." }),
    ));
    play("ends", exchanges);
}

#[test]
#[ignore = "a process that another test starts"]
fn ends() {
    let athena = athena(None);
    let ask = || athena.run("SELECT x", &Place::default());
    let mistake = ask().unwrap_err();
    assert!(matches!(mistake, AthenaError::Failed { is_mistake: true, .. }), "{mistake:?}");
    assert_eq!(
        mistake.to_string(),
        "the query failed: COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved (query q-1)"
    );
    assert!(matches!(ask().unwrap_err(), AthenaError::Failed { is_mistake: false, .. }));
    let denied = ask().unwrap_err();
    assert!(matches!(&denied, AthenaError::Denied { action, .. } if action == "s3:GetObject"), "{denied:?}");
    let cancelled = ask().unwrap_err();
    assert!(matches!(&cancelled, AthenaError::Cancelled { reason, .. } if reason.contains("limit")), "{cancelled:?}");
    let reused = ask().unwrap();
    assert!(reused.scan.is_reused && reused.scan.estimated_usd() == 0.0, "{reused:?}");
    let denied = ask().unwrap_err().to_string();
    assert!(denied.starts_with("access denied: athena:StartQueryExecution is not allowed (User: u"), "{denied}");
    let refused = ask().unwrap_err().to_string();
    assert!(refused.contains("InvalidRequestException: No output location provided"), "{refused}");
}

#[test]
fn a_query_that_nobody_waits_for_any_more_is_stopped() {
    let asked = serve("is_interrupted", |server| {
        let mut stops = Vec::new();
        // However often it is looked after until the program is to end.
        while stops.len() < 2 {
            let (connection, target, asked) = call(server);
            let (_, status, body) = match (target.as_str(), stops.len()) {
                ("StartQueryExecution", 0) => started(),
                ("GetQueryExecution", 0) => looked("DML", json!({ "State": "RUNNING" }), json!({})),
                ("StopQueryExecution", 0) => throttled("StopQueryExecution"),
                ("StopQueryExecution", 1) => ("StopQueryExecution", 200, json!({})),
                other => panic!("{other:?}"),
            };
            if target == "StopQueryExecution" {
                stops.push(asked);
            }
            answer(connection, status, &body);
        }
        stops
    });
    assert_eq!(asked, [json!({ "QueryExecutionId": "q-1" }), json!({ "QueryExecutionId": "q-1" })]);
}

#[test]
#[ignore = "a process that another test starts"]
fn is_interrupted() {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let athena = athena(Some(stop));
    let waits = std::thread::spawn(move || athena.run("SELECT x", &Place::default()));
    std::thread::sleep(Duration::from_millis(800));
    let asked = Instant::now();
    told.store(true, Ordering::Relaxed);
    let error = waits.join().unwrap().unwrap_err();
    assert_eq!(error, AthenaError::Interrupted { id: "q-1".to_owned(), unstopped: None });
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[test]
fn a_query_that_athena_says_nothing_more_of_is_stopped() {
    let denied = || json!({ "__type": "AccessDeniedException", "message": "no" });
    let asked = play(
        "is_out_of_sight",
        vec![
            started(),
            ("GetQueryExecution", 400, denied()),
            ("StopQueryExecution", 200, json!({})),
            started(),
            ("GetQueryExecution", 400, denied()),
            ("StopQueryExecution", 400, denied()),
        ],
    );
    assert_eq!(asked[2], json!({ "QueryExecutionId": "q-1" }));
}

#[test]
#[ignore = "a process that another test starts"]
fn is_out_of_sight() {
    let ask = || athena(None).run("SELECT x", &Place::default()).unwrap_err().to_string();
    let denied = |call| format!("access denied: athena:{call} is not allowed (no)");
    assert_eq!(ask(), format!("{} (query q-1 is stopped)", denied("GetQueryExecution")));
    let (look, stop) = (denied("GetQueryExecution"), denied("StopQueryExecution"));
    assert_eq!(ask(), format!("{look} (query q-1 could not be stopped: {stop})"));
}

#[test]
fn a_throttled_call_is_given_up_in_the_end() {
    let asked = play("is_throttled", (0..7).map(|_| throttled("StartQueryExecution")).collect());
    assert!(asked.iter().all(|call| call["ClientRequestToken"] == asked[0]["ClientRequestToken"]));
}

#[test]
#[ignore = "a process that another test starts"]
fn is_throttled() {
    let error = athena(None).run("SELECT x", &Place::default()).unwrap_err();
    assert_eq!(error, AthenaError::Call { call: "athena:StartQueryExecution", source: CallError::Throttled });
}

#[test]
fn workgroups_and_tables_are_found_or_not_there() {
    let missing = |target, code: &str, message: &str| -> Exchange {
        (target, 400, json!({ "__type": code, "Message": message, "AthenaErrorCode": "INVALID_INPUT" }))
    };
    let configuration = json!({
        "ResultConfiguration": { "OutputLocation": "s3://results/" }, "EnforceWorkGroupConfiguration": true,
        "PublishCloudWatchMetricsEnabled": false, "BytesScannedCutoffPerQuery": 100_000_000_000_u64,
        "EngineVersion": { "SelectedEngineVersion": "AUTO" },
    });
    let workgroup = json!({ "Name": "w", "State": "DISABLED", "Configuration": configuration });
    let parameters = json!({ "EXTERNAL": "TRUE", "location": "s3://lake/events", "table_type": "DELTA" });
    let table = json!({ "Name": "t", "TableType": "EXTERNAL_TABLE", "Columns": [], "Parameters": parameters });
    let view = json!({ "Name": "v", "TableType": "VIRTUAL_VIEW", "Parameters": { "presto_view": "true" } });
    let asked = play(
        "looks_up",
        vec![
            missing("GetWorkGroup", "InvalidRequestException", "WorkGroup w is not found."),
            ("CreateWorkGroup", 200, json!({})),
            ("GetWorkGroup", 200, json!({ "WorkGroup": workgroup })),
            missing("GetTableMetadata", "MetadataException", "Entity Not Found (Service: AmazonDataCatalog)"),
            ("GetTableMetadata", 200, json!({ "TableMetadata": table })),
            ("GetTableMetadata", 200, json!({ "TableMetadata": view })),
            missing("GetTableMetadata", "InvalidRequestException", "TableName is not valid"),
            missing(
                "GetTableMetadata",
                "MetadataException",
                "User: arn:aws:iam::111122223333:user/a is not authorized to perform: glue:GetTable on resource: x",
            ),
        ],
    );
    let made = &asked[1]["Configuration"];
    assert_eq!(made["BytesScannedCutoffPerQuery"], json!(10_000_000));
    assert_eq!(made["ResultConfiguration"]["OutputLocation"], "s3://results/");
    assert_eq!(asked[3], json!({ "CatalogName": "AwsDataCatalog", "DatabaseName": "d", "TableName": "t" }));
}

#[test]
#[ignore = "a process that another test starts"]
fn looks_up() {
    let athena = athena(None);
    assert_eq!(athena.workgroup("w").unwrap(), None);
    let output_location = Some("s3://results/".to_owned());
    let new = NewWorkgroup { name: "w".to_owned(), output_location: output_location.clone(), scan_limit: 10_000_000 };
    athena.create_workgroup(&new).unwrap();
    let found = athena.workgroup("w").unwrap().unwrap();
    assert_eq!((found.is_enabled, found.is_enforced, found.keeps_results), (false, true, false));
    assert_eq!((found.output_location, found.scan_limit), (output_location, Some(100_000_000_000)));
    assert_eq!(athena.table("d", "t").unwrap(), None);
    let location = Some("s3://lake/events".to_owned());
    assert_eq!(athena.table("d", "t").unwrap(), Some(Table { location, is_view: false }));
    assert_eq!(athena.table("d", "v").unwrap(), Some(Table { location: None, is_view: true }));
    assert!(matches!(athena.table("d", "t"), Err(AthenaError::Call { source: CallError::Refused(_), .. })));
    let denied = athena.table("d", "t").unwrap_err().to_string();
    assert!(denied.starts_with("access denied: glue:GetTable is not allowed"), "{denied}");
}
