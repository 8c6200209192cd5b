//! The near-real-time path, its forwarders, and alarms.

use detect::Triggers;
use serde_json::{Value, json};

use super::{Rule, Violations, list, of_type, one_or_more, put, refuses_plain_text, remove, statement, text};
use crate::Templates;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "EventBridge's rules let through what alerts",
        check: event_rules,
        breaches: &[
            remove("/Resources/ChangesRule/Properties/EventPattern/detail-type/3"),
            put("/Resources/ChangesRule/Properties/EventPattern/detail/readOnly", "[false]"),
            put("/Resources/WatchedReadsRule/Properties/State", r#""ENABLED""#),
            remove("/Resources/RootRule/Properties/EventPattern/source"),
            remove("/Resources/RootRule/Properties/Targets/0/DeadLetterConfig"),
            put("/Resources/ChangesRule/Properties/Targets/0/Arn/Fn::GetAtt/0", r#""FailuresQueue""#),
        ],
    },
    Rule {
        name: "every call that a detection looks for passes a rule",
        check: detections,
        breaches: &[
            put("/Parameters/AlertSources/Default", r#""iam.amazonaws.com,sts.amazonaws.com""#),
            put(
                "/Resources/WatchedReadsRule/Properties/EventPattern/detail/eventName/Fn::Split/1/Fn::Join/1/0",
                r#""AssumeRole""#,
            ),
        ],
    },
    Rule {
        name: "forwarders have the same rules, for events of their own region",
        check: forwarders,
        breaches: &[
            remove("forwarder.yaml:/Resources/RootRule/Properties/EventPattern/region"),
            remove("forwarder.yaml:/Resources/ChangesRule/Properties/EventPattern/detail-type/4"),
            put("forwarder.yaml:/Resources/ChangesRule/Properties/State", r#""DISABLED""#),
            put("forwarder.yaml:/Parameters/WatchedActions/Default", r#""CreateUser""#),
            remove("forwarder.yaml:/Resources/RootRule/Properties/Targets/0/RoleArn"),
            remove("forwarder.yaml:/Rules/AnotherRegion"),
        ],
    },
    Rule {
        name: "an event on its way to the alerter is not lost",
        check: queue,
        breaches: &[
            remove("/Resources/AlertsQueue/Properties/RedrivePolicy"),
            put("/Resources/AlertsQueue/Properties/VisibilityTimeout", "60"),
            remove("/Resources/AlerterSource/Properties/FunctionResponseTypes"),
            put("/Resources/AlerterSource/Properties/MaximumBatchingWindowInSeconds", "60"),
            put("/Resources/AlerterSource/Properties/ScalingConfig/MaximumConcurrency", "10"),
            remove(
                "/Resources/AlertsQueuePolicy/Properties/PolicyDocument/Statement/0/Condition/ArnEquals/aws:SourceArn/2",
            ),
            remove("/Resources/AlertsQueuePolicy/Properties/PolicyDocument/Statement/1"),
        ],
    },
    Rule {
        name: "alarms speak to the topic",
        check: alarms,
        breaches: &[
            remove("/Resources/TrackerErrorsAlarm/Properties/AlarmActions"),
            remove("/Resources/ExportFailuresAlarm"),
            put("/Resources/DeadManAlarm/Properties/TreatMissingData", r#""notBreaching""#),
            put("/Resources/FailuresAlarm/Properties/Dimensions/0/Value/Fn::GetAtt/0", r#""AlertsQueue""#),
            remove("/Resources/ExporterThrottlesAlarm"),
            remove("/Resources/ControlThrottlesAlarm"),
            remove("forwarder.yaml:/Resources/DeadLettersAlarm/Properties/OKActions"),
            put(
                "forwarder.yaml:/Resources/DeadLettersAlarm/Properties/Dimensions/0/Value/Fn::GetAtt/0",
                r#""ForwardRole""#,
            ),
            remove("forwarder.yaml:/Resources/DeadLettersAlarm/Condition"),
        ],
    },
    Rule {
        name: "the dead-man alarm rings when two turns brought no success, and not before",
        check: dead_man,
        breaches: &[
            put("/Resources/DeadManAlarm/Properties/EvaluationPeriods/Fn::If/1", "2"),
            put("/Resources/DeadManAlarm/Properties/EvaluationPeriods/Fn::If/1", "4"),
            put("/Resources/DeadManAlarm/Properties/EvaluationPeriods/Fn::If/2/Fn::If/2/Fn::If/2", "48"),
            // The second failure in a row is two turns old: the alarm would wait for the third, and for hours behind it.
            put("/Resources/DeadManAlarm/Properties/Threshold", "7200"),
            put("/Resources/DeadManAlarm/Properties/ComparisonOperator", r#""GreaterThanOrEqualToThreshold""#),
            put("/Resources/DeadManAlarm/Properties/Statistic", r#""Maximum""#),
            put("/Resources/DeadManAlarm/Properties/Period", "300"),
        ],
    },
];

const EVENT_RULES: [&str; 3] = ["ChangesRule", "WatchedReadsRule", "RootRule"];

fn event_rules(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let resources = &templates.stack["Resources"];
    wrong.unless(of_type(&templates.stack, "AWS::Events::Rule").len() == EVENT_RULES.len(), "a rule nobody knows");
    let kinds = [
        "AWS API Call via CloudTrail",
        "AWS Service Event via CloudTrail",
        "AWS Console Action via CloudTrail",
        // Sign-ins are documented as the one and seen as the other.
        "AWS Console Signin via CloudTrail",
        "AWS Console Sign In via CloudTrail",
    ];
    let changes = json!([false, {"exists": false}]);
    let sources = json!({"Ref": "AlertSources"});
    let details = [
        ("ChangesRule", "ENABLED", json!({"eventSource": sources, "readOnly": changes})),
        (
            "RootRule",
            "ENABLED",
            json!({
                "userIdentity": {"type": ["Root"]}, "eventSource": [{"anything-but": sources}], "readOnly": changes,
            }),
        ),
    ];
    for name in EVENT_RULES {
        let properties = &resources[name]["Properties"];
        let pattern = &properties["EventPattern"];
        wrong.unless(pattern["source"] == json!([{"prefix": "aws."}]), format!("{name}: anybody can send such events"));
        wrong.unless(pattern["detail-type"] == json!(kinds), format!("{name}: kinds of events"));
        let target = &properties["Targets"][0];
        wrong.unless(target["Arn"] == json!({"Fn::GetAtt": ["AlertsQueue", "Arn"]}), format!("{name}: another target"));
        let dead = &target["DeadLetterConfig"]["Arn"];
        wrong.unless(
            *dead == json!({"Fn::GetAtt": ["AlertsDeadLetters", "Arn"]}),
            format!("{name}: loses what it cannot send"),
        );
        // A target with a queue's own policy must not have a role.
        wrong.unless(target.get("RoleArn").is_none(), format!("{name}: a role for a queue"));
        let size = pattern.to_string().len() + text(&templates.stack["Parameters"]["AlertSources"]["Default"]).len();
        wrong.unless(size < 2_048, format!("{name}: the pattern is too long for EventBridge"));
    }
    for (name, state, detail) in details {
        let properties = &resources[name]["Properties"];
        wrong.unless(
            properties["State"] == state && properties["EventPattern"]["detail"] == detail,
            format!("{name}: pattern"),
        );
    }
    let reads = &resources["WatchedReadsRule"]["Properties"];
    // Without this state EventBridge keeps calls that only read to itself.
    wrong.unless(reads["State"] == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS", "WatchedReadsRule: sees no reads");
    let detail = &reads["EventPattern"]["detail"];
    wrong.unless(detail["readOnly"] == json!([true]) && detail["eventSource"] == sources, "WatchedReadsRule: pattern");
    let has_watched = detail["eventName"].to_string().contains(&json!({"Ref": "WatchedActions"}).to_string());
    wrong.unless(has_watched, "WatchedReadsRule: not what is watched");
    wrong.0
}

fn detections(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let sources: Vec<&str> = text(&templates.stack["Parameters"]["AlertSources"]["Default"]).split(',').collect();
    let pattern = &templates.stack["Resources"]["WatchedReadsRule"]["Properties"]["EventPattern"];
    let always = list(&pattern["detail"]["eventName"]["Fn::Split"][1]["Fn::Join"][1]);
    for detection in detect::all() {
        let Triggers::Calls(calls) = detection.triggers else { continue };
        for call in calls {
            let source = format!("{}.amazonaws.com", call.service);
            wrong.unless(sources.contains(&source.as_str()), format!("{}: {source} is no alert source", detection.id));
            for name in call.names {
                // CloudTrail calls what STS hands out a read.
                let is_read =
                    call.service == "sts" || ["Get", "List", "Describe"].iter().any(|verb| name.starts_with(verb));
                wrong.unless(!is_read || always.contains(&json!(name)), format!("{}: {name} is a read", detection.id));
            }
        }
    }
    wrong.0
}

fn forwarders(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let (stack, forwarder) = (&templates.stack, &templates.forwarder);
    for name in ["AlertSources", "WatchedActions"] {
        wrong.unless(
            stack["Parameters"][name] == forwarder["Parameters"][name],
            format!("{name} is not that of the stack"),
        );
    }
    for name in EVENT_RULES {
        let rule = &forwarder["Resources"][name]["Properties"];
        let mut pattern = rule["EventPattern"].clone();
        let region = pattern.as_object_mut().and_then(|fields| fields.shift_remove("region"));
        // Two forwarders would send each other's events round and round.
        wrong.unless(region == Some(json!([{"Ref": "AWS::Region"}])), format!("{name}: events of other regions"));
        let home = &stack["Resources"][name]["Properties"];
        wrong.unless(
            pattern == home["EventPattern"] && rule["State"] == home["State"],
            format!("{name} is not that of the stack"),
        );
        let target = &rule["Targets"][0];
        let bus = json!({"Fn::Sub": "arn:${AWS::Partition}:events:${HomeRegion}:${AWS::AccountId}:event-bus/default"});
        wrong.unless(
            target["Arn"] == bus && target["RoleArn"] == json!({"Fn::GetAtt": ["ForwardRole", "Arn"]}),
            format!("{name}: target"),
        );
        wrong.unless(
            target["DeadLetterConfig"]["Arn"] == json!({"Fn::GetAtt": ["DeadLetters", "Arn"]}),
            format!("{name}: loses events"),
        );
    }
    let assertion = &forwarder["Rules"]["AnotherRegion"]["Assertions"][0]["Assert"];
    let elsewhere = json!({"Fn::Not": [{"Fn::Equals": [{"Ref": "HomeRegion"}, {"Ref": "AWS::Region"}]}]});
    wrong.unless(*assertion == elsewhere, "can stand in the home region");
    wrong.0
}

fn queue(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let resources = &templates.stack["Resources"];
    let queue = &resources["AlertsQueue"]["Properties"];
    wrong.unless(queue["QueueName"] == json!({"Fn::Sub": "${AWS::StackName}-alerts-queue"}), "name");
    wrong.unless(
        queue["RedrivePolicy"]["deadLetterTargetArn"] == json!({"Fn::GetAtt": ["AlertsDeadLetters", "Arn"]}),
        "no dead letters",
    );
    let seconds = |value: &Value| value.as_u64().unwrap_or_default();
    let limit = seconds(&resources["AlerterFunction"]["Properties"]["Timeout"]);
    wrong.unless(limit > 0 && seconds(&queue["VisibilityTimeout"]) >= 6 * limit, "comes again while it is worked on");
    let source = &resources["AlerterSource"]["Properties"];
    wrong.unless(source["EventSourceArn"] == json!({"Fn::GetAtt": ["AlertsQueue", "Arn"]}), "another queue");
    wrong.unless(
        source["FunctionResponseTypes"] == json!(["ReportBatchItemFailures"]),
        "one bad event holds up its batch",
    );
    wrong.unless(source["MaximumBatchingWindowInSeconds"].as_u64().is_some_and(|window| window <= 5), "waits too long");
    let reserved = &resources["AlerterFunction"]["Properties"]["ReservedConcurrentExecutions"]["Fn::If"][1];
    wrong.unless(
        seconds(&source["ScalingConfig"]["MaximumConcurrency"]) <= seconds(reserved),
        "more pollers than functions",
    );

    let document = &resources["AlertsQueuePolicy"]["Properties"]["PolicyDocument"];
    let sends = statement(document, "RulesSend");
    let from: Vec<Value> = EVENT_RULES.iter().map(|name| json!({"Fn::GetAtt": [name, "Arn"]})).collect();
    wrong.unless(sends["Principal"] == json!({"Service": "events.amazonaws.com"}), "EventBridge may not send");
    wrong.unless(
        sends["Condition"]["ArnEquals"]["aws:SourceArn"] == json!(from),
        "other rules may send, or ours may not",
    );
    let queues = ["AlertsQueue", "AlertsDeadLetters"].map(|name| json!({"Fn::GetAtt": [name, "Arn"]}));
    wrong.unless(queues.iter().all(|queue| one_or_more(&sends["Resource"]).contains(&queue)), "one of both queues");
    wrong.unless(refuses_plain_text(document, &queues), "takes plain text");
    wrong.0
}

fn alarms(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let alarms = of_type(&templates.stack, "AWS::CloudWatch::Alarm");
    for (name, alarm) in &alarms {
        let topic = json!([{"Ref": "AlertsTopic"}]);
        let properties = &alarm["Properties"];
        wrong.unless(
            properties["AlarmActions"] == topic && properties["OKActions"] == topic,
            format!("{name} tells nobody"),
        );
        let treats_silence = if *name == "DeadManAlarm" { "breaching" } else { "notBreaching" };
        wrong.unless(properties["TreatMissingData"] == treats_silence, format!("{name}: silence"));
        wrong.unless(!text(&properties["AlarmDescription"]).is_empty(), format!("{name} does not say what is wrong"));
    }
    let function = |name: &str| json!({"Name": "FunctionName", "Value": {"Ref": format!("{name}Function")}});
    let table = |name: &str| json!({"Name": "TableName", "Value": {"Ref": name}});
    let queue = |name: &str| json!({"Name": "QueueName", "Value": {"Fn::GetAtt": [name, "QueueName"]}});
    let stack = || json!({"Name": "Stack", "Value": {"Ref": "AWS::StackName"}});
    let wanted = [
        ("AWS/Lambda", "Errors", function("Tracker")),
        ("AWS/Lambda", "Errors", function("Alerter")),
        ("AWS/Lambda", "Errors", function("Exporter")),
        ("AWS/Lambda", "Duration", function("Tracker")),
        ("AWS/Lambda", "Duration", function("Alerter")),
        ("AWS/Lambda", "Duration", function("Exporter")),
        ("AWS/Lambda", "Throttles", function("Tracker")),
        ("AWS/Lambda", "Throttles", function("Alerter")),
        ("AWS/Lambda", "Throttles", function("Exporter")),
        ("AWS/DynamoDB", "WriteThrottleEvents", table("EventsTable")),
        ("AWS/DynamoDB", "WriteThrottleEvents", table("ControlTable")),
        ("AWS/DynamoDB", "WriteThrottleEvents", table("AlertsTable")),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", queue("AlertsDeadLetters")),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", queue("FailuresQueue")),
        ("Trailhound", "AlertsFailed", stack()),
        ("Trailhound", "ExportFailures", stack()),
        ("Trailhound", "CoverageGapHours", stack()),
        ("Trailhound", "LastSuccessAge", stack()),
    ];
    for (namespace, metric, dimension) in wanted {
        let watches = |alarm: &Value| {
            let properties = &alarm["Properties"];
            properties["Namespace"] == namespace
                && properties["MetricName"] == metric
                && properties["Dimensions"] == json!([dimension])
        };
        wrong.unless(
            alarms.iter().any(|(_, alarm)| watches(alarm)),
            format!("no alarm for {namespace} {metric} {dimension}"),
        );
    }
    // A forwarder's is there with the topic that it tells alone.
    let forwarder = of_type(&templates.forwarder, "AWS::CloudWatch::Alarm");
    wrong.unless(forwarder.len() == 1, "not one alarm of a forwarder");
    for (name, alarm) in forwarder {
        let (properties, topic) = (&alarm["Properties"], json!([{"Ref": "AlarmTopicArn"}]));
        let tells = properties["AlarmActions"] == topic && properties["OKActions"] == topic;
        wrong.unless(tells && alarm["Condition"] == "HasAlarm", format!("forwarder: {name} tells nobody"));
        wrong
            .unless(properties["Dimensions"] == json!([queue("DeadLetters")]), format!("forwarder: {name} looks away"));
        wrong.unless(properties["TreatMissingData"] == "notBreaching", format!("forwarder: {name}: silence"));
    }
    wrong.0
}

fn dead_man(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let alarm = &templates.stack["Resources"]["DeadManAlarm"]["Properties"];
    let is_hourly = alarm["Period"] == 3600 && alarm["Statistic"] == "Minimum";
    let is_above = alarm["ComparisonOperator"] == "GreaterThanThreshold" && alarm["TreatMissingData"] == "breaching";
    wrong.unless(is_hourly && is_above, "what an hour counts as");
    let threshold = alarm["Threshold"].as_u64().unwrap_or_default();
    let turns = [("RunsHourly", 1), ("RunsEvery6Hours", 6), ("RunsEvery12Hours", 12), ("", 24)];
    let periods = ladder(&alarm["EvaluationPeriods"]);
    let chosen: Vec<&str> = periods.iter().map(|(condition, _)| *condition).collect();
    wrong.unless(chosen == turns.map(|(condition, _)| condition), "another schedule");
    for ((_, turn), (_, periods)) in turns.into_iter().zip(periods) {
        // What the runs of a week write, in hours since the last success, which is the one before the first hour.
        let rings = |run: &dyn Fn(u64) -> Option<u64>| {
            let mut bad = 0;
            (1..=24 * 7).find(|hour| {
                let age = (hour % turn == 0).then(|| run(*hour)).flatten();
                bad = if age.is_none_or(|age| age * 3600 > threshold) { bad + 1 } else { 0 };
                bad == periods
            })
        };
        let every_second = |hour| Some(if hour / turn % 2 == 0 { 0 } else { turn });
        wrong.unless(rings(&|_| Some(0)).is_none(), format!("{turn} h: rings over nothing"));
        wrong.unless(rings(&every_second).is_none(), format!("{turn} h: rings over one failure"));
        for (what, hour) in [("failures ring", rings(&Some)), ("silence rings", rings(&|_| None))] {
            wrong.unless(hour == Some(2 * turn + 1), format!("{turn} h: {what} at hour {hour:?}"));
        }
    }
    wrong.0
}

/// The values of `!If` in `!If`, each with its condition; the last has none.
fn ladder(value: &Value) -> Vec<(&str, u64)> {
    match value.get("Fn::If") {
        None => vec![("", value.as_u64().unwrap_or_default())],
        Some(branches) => {
            let mut steps = vec![(text(&branches[0]), branches[1].as_u64().unwrap_or_default())];
            steps.extend(ladder(&branches[2]));
            steps
        }
    }
}
