use super::*;

/// Asserts that the content holds exactly these records and nothing else, plain and gzipped, and gives them back.
#[track_caller]
fn holds(content: impl AsRef<[u8]>, names: &[&str]) {
    for bytes in [content.as_ref().to_vec(), gz(content.as_ref())] {
        let decoded = decode(&bytes);
        assert_eq!(decoded.names(), names);
        assert_eq!((decoded.damage(), decoded.reasons()), ("", vec![]));
        assert_eq!(decoded.summary.inflated, content.as_ref().len() as u64);
        for (json, name) in decoded.records.iter().zip(names) {
            let value: Value = serde_json::from_str(json).expect("JSON");
            assert_eq!(value, rec(name), "the record comes back as it was");
        }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON")
}

#[test]
fn a_trail_file() {
    holds(json!({"Records": recs(&["A", "B"])}).to_string(), &["A", "B"]);
    holds(pretty(&json!({"Records": recs(&["A", "B"])})), &["A", "B"]);
    holds(json!({"Records": []}).to_string(), &[]);
    holds("{ \"Records\" : [ ] }\n", &[]);
    holds(format!("{{\"Version\": [1], \"Records\":{},\"more\":{{\"a\":[]}},\"last\":1}}", recs(&["A"])), &["A"]);
}

#[test]
fn an_array_of_records_one_record_and_nothing() {
    holds(recs(&["A", "B"]).to_string(), &["A", "B"]);
    holds(pretty(&recs(&["A", "B"])), &["A", "B"]);
    holds(rec("A").to_string(), &["A"]);
    holds(pretty(&rec("A")), &["A"]);
    for nothing in ["", "[]", "\n\n", " [ ] \r\n", "{\"Records\":[]}{\"Records\":[]}"] {
        holds(nothing, &[]);
    }
    assert_eq!(decode(gz("")).summary, Summary { sealing: Sealing::Single, ..Summary::default() });
}

#[test]
fn json_lines() {
    let lines = format!("{}\n{}\n", rec("A"), rec("B"));
    holds(&lines, &["A", "B"]);
    holds(lines.trim_end(), &["A", "B"]);
    holds(lines.replace('\n', "\r\n"), &["A", "B"]);
    holds(lines.replace('\n', "\n\n"), &["A", "B"]);
    holds(lines.replace('\n', ""), &["A", "B"]);
    holds(format!("{}\n{}", pretty(&rec("A")), pretty(&rec("B"))), &["A", "B"]);
    holds(format!("\u{feff}{lines}"), &["A", "B"]);
    holds(format!("{}\n{}\n", json!({"Records": recs(&["A"])}), json!({"Records": recs(&["B"])})), &["A", "B"]);
}

#[test]
fn lookup_pages_as_the_api_and_the_command_line_print_them() {
    for time in [json!(1_768_478_400.0), json!(1_768_478_400), json!("2026-01-15T13:00:00+01:00")] {
        let page = lookup_page(&["A", "B"], &time);
        holds(page.to_string(), &["A", "B"]);
        holds(pretty(&page), &["A", "B"]);
        holds(json!([page, lookup_page(&["C"], &time)]).to_string(), &["A", "B", "C"]);
        holds(format!("{page}\n{page}"), &["A", "B", "A", "B"]);
        holds(page["Events"].to_string(), &["A", "B"]);
        holds(page["Events"][0].to_string(), &["A"]);
    }
    holds(json!({"NextToken": "before", "Events": lookup_page(&["A"], &json!(0))["Events"]}).to_string(), &["A"]);
}

#[test]
fn the_time_beside_a_lookup_record_stands_in_for_one_it_lacks() {
    let mut record = rec("A");
    record.as_object_mut().expect("an object").remove("eventTime");
    let page = json!({"Events": [{"EventTime": 1_768_478_400, "CloudTrailEvent": record.to_string()}]});
    let mut times = Vec::new();
    Decoder::default().decode(Content::Bytes(page.to_string().as_bytes()), &mut |batch| {
        times.extend(batch.events.iter().map(|event| (event.event_time.to_string(), event.to_json())));
        ControlFlow::Continue(())
    });
    assert_eq!(times[0].0, "2026-01-15T12:00:00Z");
    assert_eq!(serde_json::from_str::<Value>(&times[0].1).expect("JSON"), record);
}

#[test]
fn event_bridge_events() {
    holds(event_bridge("A").to_string(), &["A"]);
    holds(format!("{}\n{}\n", event_bridge("A"), event_bridge("B")), &["A", "B"]);
    holds(json!([event_bridge("A"), event_bridge("B")]).to_string(), &["A", "B"]);
    let other =
        json!({"version": "0", "detail-type": "EC2 Instance State-change Notification", "detail": {"state": "x"}});
    assert_eq!(decode(other.to_string()).reasons(), ["an EventBridge event that is not CloudTrail's"]);
}

#[test]
fn envelopes_in_each_other() {
    let page = json!({"Records": recs(&["A", "B"])});
    holds(json!([page, page]).to_string(), &["A", "B", "A", "B"]);
    holds(json!([[rec("A")], [rec("B"), rec("C")]]).to_string(), &["A", "B", "C"]);
    holds(
        json!([page, rec("C"), event_bridge("D"), lookup_page(&["E"], &json!(0))]).to_string(),
        &["A", "B", "C", "D", "E"],
    );
    holds(format!("{page}\n{}\n{}", recs(&["C"]), event_bridge("D")), &["A", "B", "C", "D"]);
}

#[test]
fn concatenated_gzip_members_also_identical_and_empty_ones() {
    let file = json!({"Records": recs(&["A"])}).to_string();
    for (members, count) in
        [(vec![gz(&file), gz(&file)], 2), (vec![gz(&file), gz(""), gz(&file)], 2), (vec![gz(""), gz("")], 0)]
    {
        let decoded = decode(members.concat());
        assert_eq!((decoded.names().len(), decoded.damage()), (count, ""));
    }
    // A document that goes on in the next member.
    let (first, second) = file.split_at(file.len() / 2);
    assert_eq!(decode([gz(first), gz(second)].concat()).names(), ["A"]);
}

#[test]
fn a_gzip_header_with_all_its_fields() {
    let mut encoder = flate2::GzBuilder::new()
        .filename("trail.json")
        .comment("a comment")
        .extra(b"extra".as_slice())
        .write(Vec::new(), Compression::default());
    encoder.write_all(rec("A").to_string().as_bytes()).expect("into memory");
    let member = encoder.finish().expect("into memory");
    assert_eq!(decode(&member).names(), ["A"]);
    assert_eq!(decode([member.clone(), member].concat()).names(), ["A", "A"]);
}

#[test]
fn digests_and_insights_are_recognised_by_content_and_counted() {
    let digest = json!({"awsAccountId": "111122223333", "digestStartTime": "x", "digestS3Object": "y", "logFiles": []});
    let decoded = decode(digest.to_string());
    assert_eq!((decoded.summary.digests, decoded.summary.records(), decoded.damage()), (1, 0, ""));
    // As AWS documents them: the action stands in the details alone.
    let insight = json!({
        "eventVersion": "1.08", "eventTime": "2021-07-15T00:00:00Z", "awsRegion": "us-east-1",
        "eventID": "3fe3a7b4-9a3c-4b0f-8e43-111122223333", "eventType": "AwsCloudTrailInsight",
        "recipientAccountId": "111122223333", "sharedEventID": "3fe3a7b4-9a3c-4b0f-8e43-111122224444",
        "insightDetails": {
            "state": "Start", "eventSource": "autoscaling.amazonaws.com", "eventName": "CompleteLifecycleAction",
            "insightType": "ApiCallRateInsight",
            "insightContext": { "statistics": { "baseline": { "average": 0.0017 }, "insight": { "average": 4.0 } } }
        },
        "eventCategory": "Insight"
    });
    let mut named = rec("Insight");
    named["eventCategory"] = json!("Insight");
    for insight in [insight, named] {
        let decoded = decode(json!({"Records": [insight.clone(), rec("A")]}).to_string());
        assert_eq!((decoded.summary.insights, decoded.names()), (1, vec!["A".to_owned()]));
        let bridge =
            json!({"source": "aws.cloudtrail", "detail-type": "AWS Insight via CloudTrail", "detail": insight});
        assert_eq!(decode(bridge.to_string()).summary.insights, 1);
    }
}

/// A record as an export writes it: names in lower case, nesting as Presto's text.
const ATHENA_IDENTITY: &str = "{type=AssumedRole, principalid=AROAEXAMPLE:bob, \
    arn=arn:aws:sts::111122223333:assumed-role/Admin/bob, accountid=111122223333, invokedby=null, \
    accesskeyid=ASIAEXAMPLE, username=null, sessioncontext={attributes={mfaauthenticated=true, \
    creationdate=2026-01-15T11:00:00Z}, sessionissuer={type=Role, principalid=AROAEXAMPLE, \
    arn=arn:aws:iam::111122223333:role/Admin, accountid=111122223333, username=Admin}, ec2roledelivery=null}}";

fn assert_exported(content: &str) {
    let decoded = decode(content);
    assert_eq!((decoded.names(), decoded.damage()), (vec!["CreateUser".to_owned()], ""), "{:?}", decoded.rejected);
    let event = record(&decoded.records[0]).expect("a record");
    assert_eq!(event.user_name(), Some("Admin"));
    assert_eq!(event.session_name(), Some("bob"));
    assert_eq!(event.role_arn(), Some("arn:aws:iam::111122223333:role/Admin"));
    assert_eq!(event.mfa_authenticated, Some(true));
    assert_eq!(event.target(), Some("carol, the 2nd"));
    assert_eq!(event.event_time.to_string(), "2026-01-15T12:00:00Z");
    assert_eq!(event.read_only, Some(false));
    assert_eq!(event.response_elements(), None);
    assert_eq!(event.error_code(), None);
}

#[test]
fn an_athena_result_as_csv() {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let row = format!(
        "\"1.08\",{},\"2026-01-15T12:00:00Z\",\"iam.amazonaws.com\",\"CreateUser\",,{},\"null\",\"false\",\"id-1\"\n",
        quoted(ATHENA_IDENTITY),
        quoted(r#"{"userName":"carol, the 2nd"}"#),
    );
    let header = "\"eventversion\",\"useridentity\",\"eventtime\",\"eventsource\",\"eventname\",\"errorcode\",\
        \"requestparameters\",\"responseelements\",\"readonly\",\"eventid\"\n";
    assert_exported(&format!("{header}{row}"));
    assert_exported(&format!("{header}{row}").replace('\n', "\r\n"));
    assert_exported(&format!("\u{feff}{header}{row}"));
    assert_exported(&format!("{header}{row}{header}"));
    let spelled = header.replace("useridentity", "userIdentity").replace("eventname", "eventName").replace('"', "");
    assert_exported(&format!("{spelled}{}", row.trim_end()));
}

#[test]
fn an_athena_result_as_json_lines() {
    let row = json!({
        "eventversion": "1.08", "useridentity": ATHENA_IDENTITY, "eventtime": "2026-01-15 12:00:00.000",
        "eventsource": "iam.amazonaws.com", "eventname": "CreateUser", "errorcode": null, "errormessage": "",
        "requestparameters": r#"{"userName":"carol, the 2nd"}"#, "responseelements": "null", "readonly": "false",
    });
    assert_exported(&format!("{row}\n"));
    // Athena's own JSON writer keeps the structure.
    let mut nested = row;
    nested["useridentity"] = json!({
        "type": "AssumedRole", "principalid": "AROAEXAMPLE:bob", "arn": "arn:aws:sts::111122223333:assumed-role/Admin/bob",
        "sessioncontext": {
            "attributes": {"mfaauthenticated": "true"},
            "sessionissuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/Admin", "username": "Admin"},
        },
    });
    assert_exported(&nested.to_string());
}

#[test]
fn cloudtrail_lake_results() {
    let rows = json!({
        "QueryStatus": "FINISHED",
        "QueryStatistics": {"ResultsCount": 2},
        "QueryResultRows": [[{"eventJson": rec("A").to_string()}], [{"eventID": "x"}, {"eventJson": rec("B").to_string()}]],
        "NextToken": "t",
    });
    holds(rows.to_string(), &["A", "B"]);
    holds(json!({"eventJson": rec("A").to_string()}).to_string(), &["A"]);
    let quoted = rec("A").to_string().replace('"', "\"\"");
    holds(format!("eventID,eventJson\nid-A,\"{quoted}\"\n"), &["A"]);
    let columns = json!({"QueryResultRows": [
        [{"eventVersion": "1.08"}, {"eventTime": "2026-01-15 12:00:00.000"}, {"eventName": "CreateUser"},
         {"userIdentity": ATHENA_IDENTITY}, {"requestParameters": r#"{"userName":"carol, the 2nd"}"#},
         {"eventSource": "iam.amazonaws.com"}, {"readOnly": "false"}, {"responseElements": null}],
    ]});
    assert_exported(&columns.to_string());
}

#[test]
fn more_records_than_a_batch_come_in_order() {
    let names: Vec<String> = (0..5000).map(|number| format!("N{number}")).collect();
    let file = json!({"Records": names.iter().map(|name| rec(name)).collect::<Vec<_>>()}).to_string();
    let decoded = decode(gz(file));
    assert_eq!(decoded.names(), names);
}

#[test]
fn a_sink_that_breaks_stops_the_decoding() {
    let names: Vec<String> = (0..5000).map(|number| format!("N{number}")).collect();
    let file = json!({"Records": names.iter().map(|name| rec(name)).collect::<Vec<_>>()}).to_string();
    for content in [Content::Bytes(file.as_bytes()), Content::Reader(&mut file.as_bytes())] {
        let mut batches = 0;
        let summary = Decoder::default().decode(content, &mut |_| {
            batches += 1;
            ControlFlow::Break(())
        });
        assert!(summary.stopped && summary.damage.is_none() && batches == 1, "{summary:?}");
    }
}
