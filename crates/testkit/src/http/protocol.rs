//! What each operation answers.

use std::sync::PoisonError;

use serde_json::{Value, json};

use super::wire::{Answer, Request};
use super::{Service, now, trails};
use crate::cloudtrail::history::{Entry, Query, Refusal, SECOND};

/// The account of callers that say none.
const ACCOUNT: &str = "111122223333";

pub(super) fn answer(service: &Service, request: &Request) -> Answer {
    let target = request.header("x-amz-target").and_then(|target| target.rsplit('.').next());
    match (request.method.as_str(), target) {
        ("POST", Some("LookupEvents")) if request.is_lookup() => lookup(service, request),
        ("POST", Some("DescribeTrails")) => {
            json_answer(&trails::describe(&service.setup.trails, signed(request).1, &body(request)))
        }
        ("POST", Some("ListPublicKeys")) => list_public_keys(service, request),
        ("POST", Some("DescribeOrganization")) => match trails::organization(&service.setup.trails) {
            Some(organization) => json_answer(&organization),
            None => error(400, "AWSOrganizationsNotInUseException", "The account is no member of an organization"),
        },
        ("POST", Some("ListAccounts")) => list_accounts(service, request),
        ("POST", None) if request.path.starts_with("/listRegions") => list_regions(service, request),
        ("POST", None) => token_service(service, request),
        _ => error(400, "UnknownOperationException", "this service knows no such operation"),
    }
}

fn json_answer(body: &Value) -> Answer {
    Answer {
        status: 200,
        content_type: "application/x-amz-json-1.1",
        error: None,
        headers: Vec::new(),
        body: body.to_string(),
    }
}

fn error(status: u16, kind: &str, message: &str) -> Answer {
    let body = json!({"__type": kind, "message": message}).to_string();
    Answer {
        status,
        content_type: "application/x-amz-json-1.1",
        error: Some(kind.to_owned()),
        headers: Vec::new(),
        body,
    }
}

/// What the request is signed with: the access key and the region.
fn signed(request: &Request) -> (&str, &str) {
    let scope = request.header("authorization").and_then(|text| text.split_once("Credential=")).map(|(_, rest)| rest);
    let mut parts = scope.and_then(|scope| scope.split(',').next()).unwrap_or_default().split('/');
    let key = parts.next().unwrap_or_default();
    (key, parts.nth(1).unwrap_or("us-east-1"))
}

/// The partition of a region.
fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ if region.starts_with("cn-") => "aws-cn",
        _ => "aws",
    }
}

/// The account of the caller: keys of assumed roles carry it; any other key is the first account's.
fn account(service: &Service, request: &Request) -> String {
    let (key, _) = signed(request);
    if let Some(account) = key.strip_prefix("ASIA").and_then(|rest| rest.get(..12))
        && account.bytes().all(|byte| byte.is_ascii_digit())
    {
        return account.to_owned();
    }
    let data = service.data.lock().unwrap_or_else(PoisonError::into_inner);
    data.accounts().into_iter().next().unwrap_or_else(|| ACCOUNT.to_owned())
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_default()
}

/// What is answered where the region denies the operation.
fn denied(service: &Service, request: &Request, operation: &str) -> Option<Answer> {
    let (_, region) = signed(request);
    let message = format!("User is not authorized to perform: cloudtrail:{operation}");
    let turned = service.setup.dial.lock().denied.clone();
    let is_denied = service.setup.denied.iter().chain(&turned).any(|denied| denied == region);
    is_denied.then(|| error(400, "AccessDeniedException", &message))
}

fn list_public_keys(service: &Service, request: &Request) -> Answer {
    if let Some(denied) = denied(service, request, "ListPublicKeys") {
        return denied;
    }
    let (region, now) = (signed(request).1, service.now() as f64 / SECOND as f64);
    match trails::list_keys(&service.public_keys, region, &body(request), now, service.setup.keys_per_page) {
        Some(keys) => json_answer(&keys),
        None => refusal(Refusal::InvalidTimeRange),
    }
}

fn lookup(service: &Service, request: &Request) -> Answer {
    let faults = service.setup.faults;
    if let Some(denied) = denied(service, request, "LookupEvents") {
        return denied;
    }
    let (_, region) = signed(request);
    if service.hits(faults.throttled) {
        return refusal(Refusal::Throttled);
    }
    if service.hits(faults.unavailable) {
        return error(500, "InternalFailure", "something went wrong");
    }
    let account = account(service, request);
    let body = body(request);
    let token = body["NextToken"].as_str();
    if token.is_some() && service.hits(faults.token_lost) {
        return refusal(Refusal::InvalidToken);
    }
    let now = service.now();
    let mut data = service.data.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(failure) = data.refresh(now) {
        return error(500, "InternalFailure", &failure.to_string());
    }
    let outcome = query(&account, region, &body).and_then(|query| {
        data.history.admit(&account, region, now)?;
        data.history.page(&query, token, now)
    });
    match outcome {
        Ok(page) => {
            let events: Vec<Value> = page.events.iter().map(|(source, entry)| event(source, entry)).collect();
            let mut body = json!({ "Events": events });
            if let Some(next) = page.next {
                body["NextToken"] = Value::String(next);
            }
            json_answer(&body)
        }
        Err(known) => refusal(known),
    }
}

fn query(account: &str, region: &str, body: &Value) -> Result<Query, Refusal> {
    let attributes = body["LookupAttributes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let attribute = match attributes {
        [] => None,
        [one] => {
            let text = |key: &str| one[key].as_str().map(str::to_owned).ok_or(Refusal::InvalidAttribute);
            Some((text("AttributeKey")?, text("AttributeValue")?))
        }
        _ => return Err(Refusal::InvalidAttribute),
    };
    // Epoch seconds, with a fraction.
    let time = |key: &str| body[key].as_f64().map(|seconds| (seconds * SECOND as f64).round() as i64);
    let max = body["MaxResults"].as_u64().map(|max| usize::try_from(max).unwrap_or(usize::MAX));
    Ok(Query {
        account: account.to_owned(),
        region: region.to_owned(),
        attribute,
        start: time("StartTime"),
        end: time("EndTime"),
        max,
    })
}

fn event(source: &str, entry: &Entry) -> Value {
    json!({
        "EventId": entry.id,
        "EventName": entry.name,
        "ReadOnly": entry.read_only.to_string(),
        "AccessKeyId": entry.access_key,
        "EventTime": entry.time / SECOND,
        "EventSource": source,
        "Username": entry.user,
        "Resources": [],
        "CloudTrailEvent": entry.record,
    })
}

fn refusal(refusal: Refusal) -> Answer {
    let (kind, message) = match refusal {
        Refusal::Throttled => ("ThrottlingException", "Rate exceeded"),
        Refusal::InvalidToken => {
            ("InvalidNextTokenException", "Invalid token, or other parameters than it was given for")
        }
        Refusal::InvalidTimeRange => ("InvalidTimeRangeException", "The start time lies behind the end time"),
        Refusal::InvalidMaxResults => ("InvalidMaxResultsException", "MaxResults is 1 to 50"),
        Refusal::InvalidAttribute => ("InvalidLookupAttributesException", "One lookup attribute at the most"),
    };
    error(400, kind, message)
}

fn list_regions(service: &Service, request: &Request) -> Answer {
    let data = service.data.lock().unwrap_or_else(PoisonError::into_inner);
    let here = partition(signed(request).1);
    let region = |region: String| json!({"RegionName": region, "RegionOptStatus": "ENABLED_BY_DEFAULT"});
    let regions: Vec<Value> =
        data.regions().into_iter().filter(|region| partition(region) == here).map(region).collect();
    json_answer(&json!({ "Regions": regions }))
}

fn list_accounts(service: &Service, request: &Request) -> Answer {
    let here = partition(signed(request).1);
    let data = service.data.lock().unwrap_or_else(PoisonError::into_inner);
    let account = |id: String| {
        json!({
            "Arn": format!("arn:{here}:organizations::{ACCOUNT}:account/o-example/{id}"),
            "Id": id, "Name": format!("account {id}"), "Email": format!("{id}@example.com"),
            "Status": "ACTIVE", "JoinedMethod": "CREATED", "JoinedTimestamp": 1_600_000_000,
        })
    };
    let accounts: Vec<Value> = data.accounts().into_iter().map(account).collect();
    json_answer(&json!({ "Accounts": accounts }))
}

/// AssumeRole, with or without a web identity, and GetCallerIdentity: the query protocol, in XML.
fn token_service(service: &Service, request: &Request) -> Answer {
    let body = String::from_utf8_lossy(&request.body);
    let field = |name: &str| {
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(known, _)| *known == name).map(|(_, value)| unescaped(value)).next()
    };
    let inner = match field("Action").as_deref() {
        Some(action @ ("AssumeRole" | "AssumeRoleWithWebIdentity")) => {
            let arn = field("RoleArn").unwrap_or_default();
            let account = arn.split(':').nth(4).filter(|part| part.len() == 12).unwrap_or(ACCOUNT).to_owned();
            let role = arn.rsplit('/').next().unwrap_or_default().to_owned();
            let session = field("RoleSessionName").unwrap_or_default();
            let until = jiff::Timestamp::from_second(now() / SECOND + 3600).unwrap_or_default();
            format!(
                "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
                 <Credentials><AccessKeyId>ASIA{account}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
                 <SessionToken>session</SessionToken><Expiration>{until}</Expiration></Credentials>\
                 <AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:{session}</AssumedRoleId>\
                 <Arn>arn:{here}:sts::{account}:assumed-role/{role}/{session}</Arn></AssumedRoleUser>\
                 </{action}Result></{action}Response>",
                here = partition(signed(request).1),
                account = escaped(&account),
                role = escaped(&role),
                session = escaped(&session),
            )
        }
        Some("GetCallerIdentity") => {
            let (account, here) = (account(service, request), partition(signed(request).1));
            format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <GetCallerIdentityResult><Arn>arn:{here}:iam::{account}:user/tester</Arn><UserId>AIDAEXAMPLE</UserId>\
                 <Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            )
        }
        _ => return error(400, "InvalidAction", "this service knows no such action"),
    };
    Answer { status: 200, content_type: "text/xml", error: None, headers: Vec::new(), body: inner }
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A form's value: `%2F` and `+`.
pub(super) fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                at += 2;
            }
            (b'+', _) => plain.push(b' '),
            (byte, _) => plain.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}
