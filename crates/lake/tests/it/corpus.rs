//! Records for the tests: a few accounts, regions, people and days, and everything determined by a number.

use event::{Event, Timestamp};
use lake::{Lake, Scan, Writer};
use serde_json::{Value, json};

/// 2024-03-01T00:00:00Z.
pub(crate) const START: i64 = 1_709_251_200;
pub(crate) const DAY: i64 = 86_400;

/// A record like a trail's, the same for the same number.
pub(crate) fn record(number: u64) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let pick = |shift: u32, from: &[&str]| from[(mixed >> shift) as usize % from.len()].to_owned();
    let seconds = START + (mixed >> 7) as i64 % (3 * DAY);
    let time = Timestamp::from_seconds(seconds).expect("in bounds").to_string();
    let account = pick(3, &["111111111111", "222222222222", "333333333333"]);
    let person = pick(11, &["ada", "grace", "edsger", "barbara", "donald"]);
    let name = pick(17, &["CreateUser", "AssumeRole", "GetObject", "ListBuckets", "ConsoleLogin"]);
    let source = pick(
        17,
        &["iam.amazonaws.com", "sts.amazonaws.com", "s3.amazonaws.com", "s3.amazonaws.com", "signin.amazonaws.com"],
    );
    let identity = if mixed & 1 == 0 {
        json!({ "type": "IAMUser", "principalId": "AIDA0", "arn": format!("arn:aws:iam::{account}:user/{person}"),
            "accountId": account, "accessKeyId": format!("AKIA{:016}", mixed % 7), "userName": person })
    } else {
        json!({ "type": "AssumedRole", "principalId": format!("AROA0:{person}"),
            "arn": format!("arn:aws:sts::{account}:assumed-role/Admin/{person}"), "accountId": account,
            "accessKeyId": format!("ASIA{:016}", mixed % 11),
            "sessionContext": { "sessionIssuer": { "type": "Role", "arn": format!("arn:aws:iam::{account}:role/Admin"),
                "userName": "Admin", "accountId": account, "principalId": "AROA0" },
                "attributes": { "mfaAuthenticated": "true", "creationDate": time } } })
    };
    let mut record = json!({
        "eventVersion": "1.11", "userIdentity": identity, "eventTime": time, "eventSource": source, "eventName": name,
        "awsRegion": pick(23, &["us-east-1", "eu-central-1", "ap-south-1"]),
        "sourceIPAddress": format!("198.51.100.{}", mixed % 50), "userAgent": "aws-cli/2.17",
        "requestParameters": { "userName": person, "note": format!("é \u{1F600} {number}") },
        "responseElements": null, "requestID": uuid(mixed ^ 1), "eventID": id(number), "eventType": "AwsApiCall",
        "managementEvent": true, "readOnly": mixed & 2 == 0, "recipientAccountId": account, "eventCategory": "Management",
        "aFieldOfTomorrow": { "n": 1.0 },
    });
    if mixed & 12 == 0 {
        record["errorCode"] = json!("AccessDenied");
    }
    record.to_string()
}

/// The id of a record.
pub(crate) fn id(number: u64) -> String {
    uuid(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn uuid(bits: u64) -> String {
    let low = bits.wrapping_mul(0xff51_afd7_ed55_8ccd) & 0x3fff_ffff_ffff_ffff;
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        bits as u32,
        bits >> 48,
        (bits >> 36) & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

/// The record with the keys of its request in another order: the same value in other words.
pub(crate) fn reordered(record: &str) -> String {
    record
        .replacen("\"eventVersion\":\"1.11\"", "\"eventVersion\": \"1.11\"", 1)
        .replace("\"accountId\":\"", " \"accountId\": \"")
}

/// The record saying something else under the same id.
pub(crate) fn altered(record: &str) -> String {
    let mut value: Value = serde_json::from_str(record).expect("a record");
    value["userAgent"] = json!("something else");
    value.to_string()
}

pub(crate) fn events(records: &[String]) -> Vec<Event<'_>> {
    records.iter().map(|record| event::decode::record(record).expect("a record")).collect()
}

pub(crate) fn records(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(record).collect()
}

/// When the tests store.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_seconds(START + 10 * DAY).expect("in bounds")
}

/// Appends in batches as files would be, and returns how many were stored, duplicates and variants.
pub(crate) fn append(writer: &Writer, records: &[String]) -> (u64, u64, u64) {
    let mut sums = (0, 0, 0);
    for (number, records) in records.chunks(97).enumerate() {
        let appended = writer.append(&events(records), &format!("trail/{number}.json.gz"), now()).expect("append");
        assert_eq!(appended.stored + appended.duplicates + appended.variants.len() as u64, records.len() as u64);
        sums = (sums.0 + appended.stored, sums.1 + appended.duplicates, sums.2 + appended.variants.len() as u64);
    }
    sums
}

/// Everything in the lake as records, by id.
pub(crate) fn stored(lake: &Lake) -> Vec<(String, Value)> {
    let mut stored: Vec<(String, Value)> = lake
        .scan(&Scan::default())
        .expect("scan")
        .map(|event| {
            let event = event.expect("row");
            (event.id().to_owned(), serde_json::from_str(&event.to_json()).expect("JSON"))
        })
        .collect();
    stored.sort_by(|left, right| left.0.cmp(&right.0));
    stored
}

/// What the lake should hold after these records.
pub(crate) fn expected(numbers: impl IntoIterator<Item = u64>) -> Vec<(String, Value)> {
    let mut expected: Vec<(String, Value)> =
        numbers.into_iter().map(|number| (id(number), serde_json::from_str(&record(number)).expect("JSON"))).collect();
    expected.sort_by(|left, right| left.0.cmp(&right.0));
    expected
}
