//! Functions, their schedules, and Athena.

use serde_json::{Value, json};

use super::{Rule, Violations, of_type, put, remove, text};
use crate::Templates;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "functions run what deploy uploads, bounded, and log with an end",
        check: functions,
        breaches: &[
            put("/Resources/TrackerFunction/Properties/Runtime", r#""provided.al2""#),
            put(
                "/Resources/TrackerFunction/Properties/Code/S3Key/Fn::Sub",
                r#""${ArtifactPrefix}tracker-${CodeVersion}.zip""#,
            ),
            put("/Resources/AlerterFunction/Properties/Architectures/0", r#""arm64""#),
            remove("/Resources/ExporterFunction/Properties/ReservedConcurrentExecutions"),
            put("/Resources/AlerterFunction/Properties/Role/Fn::GetAtt/0", r#""TrackerRole""#),
            remove("/Resources/ExporterLogGroup/Properties/RetentionInDays"),
            put("/Resources/ExporterFunction/Properties/LoggingConfig/LogGroup/Ref", r#""TrackerLogGroup""#),
            put("/Resources/TrackerFunction/Properties/Timeout", "901"),
        ],
    },
    Rule {
        name: "Lambda lets through every line of the log that the functions write",
        check: log_levels,
        breaches: &[
            put("/Resources/TrackerFunction/Properties/LoggingConfig/LogFormat", r#""Text""#),
            remove("/Resources/TrackerFunction/Properties/LoggingConfig/ApplicationLogLevel"),
            put("/Resources/AlerterFunction/Properties/LoggingConfig/ApplicationLogLevel/Fn::If/2", r#""WARN""#),
            put("/Resources/ExporterFunction/Properties/LoggingConfig/ApplicationLogLevel", r#"{"Ref": "LogLevel"}"#),
            put("/Conditions/LogsDebug/Fn::Equals/1", r#""INFO""#),
        ],
    },
    Rule {
        name: "the alerter has the processor that its aim needs",
        check: alerter_speed,
        breaches: &[put("/Resources/AlerterFunction/Properties/MemorySize", "128")],
    },
    Rule {
        name: "functions are told what the code reads",
        check: environments,
        breaches: &[
            remove("/Resources/TrackerFunction/Properties/Environment/Variables/SSO_REGION"),
            put("/Resources/TrackerFunction/Properties/Environment/Variables/MALLOC_ARENA_MAX", r#""16""#),
            put("/Resources/AlerterFunction/Properties/Environment/Variables/EVENTS_TABLE_NAME", r#""x""#),
            remove("/Resources/AlerterFunction/Properties/Environment/Variables/CONTROL_TABLE_NAME"),
            put("/Resources/ExporterFunction/Properties/Environment/Variables/EXPORT_LAYOUT", r#""delta""#),
            put("/Resources/TrackerFunction/Properties/Environment/Variables/FILTERED_ROLES/Ref", r#""MaxWorkers""#),
            put(
                "/Resources/ExporterFunction/Properties/Environment/Variables/ATHENA_DATABASE",
                r#"{"Ref": "AthenaDatabaseName"}"#,
            ),
        ],
    },
    Rule {
        name: "what was called by schedule and failed is kept",
        check: schedules,
        breaches: &[
            remove("/Resources/TrackerOnFailure"),
            put("/Resources/ExporterOnFailure/Properties/FunctionName/Ref", r#""TrackerFunction""#),
            remove("/Resources/ExporterSchedule/Properties/Target/DeadLetterConfig"),
            put("/Resources/TrackerSchedule/Properties/ScheduleExpression", r#""rate(1 hour)""#),
            put("/Resources/TrackerSchedule/Properties/Target/Input", r#""""#),
            put("/Resources/TrackerSchedule/Properties/Target/Arn/Fn::GetAtt/0", r#""ExporterFunction""#),
        ],
    },
    Rule {
        name: "one question to Athena cannot cost the world",
        check: athena,
        breaches: &[
            remove("/Resources/AthenaWorkGroup/Properties/WorkGroupConfiguration/BytesScannedCutoffPerQuery"),
            put("/Resources/AthenaWorkGroup/Properties/WorkGroupConfiguration/EnforceWorkGroupConfiguration", "false"),
            put(
                "/Resources/AthenaWorkGroup/Properties/WorkGroupConfiguration/ResultConfiguration/OutputLocation/Fn::Sub",
                r#""s3://${AnalyticsBucket}/""#,
            ),
        ],
    },
];

const FUNCTIONS: [(&str, &str); 3] = [("Tracker", "tracker"), ("Alerter", "alerter"), ("Exporter", "exporter")];

fn functions(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let resources = &templates.stack["Resources"];
    wrong
        .unless(of_type(&templates.stack, "AWS::Lambda::Function").len() == FUNCTIONS.len(), "a function nobody knows");
    for (name, artifact) in FUNCTIONS {
        let properties = &resources[format!("{name}Function")]["Properties"];
        let wanted = json!({
            "Runtime": "provided.al2023",
            "Handler": "bootstrap",
            "Architectures": [{"Ref": "Architecture"}],
            "Role": {"Fn::GetAtt": [format!("{name}Role"), "Arn"]},
            "FunctionName": {"Fn::Sub": format!("${{AWS::StackName}}-{artifact}")},
            "Code": {
                "S3Bucket": {"Ref": "ArtifactBucket"},
                "S3Key": {"Fn::Sub": format!("${{ArtifactPrefix}}{artifact}-${{Architecture}}-${{CodeVersion}}.zip")},
            },
        });
        for (property, value) in wanted.as_object().unwrap() {
            wrong.unless(properties[property] == *value, format!("{name}: {property}"));
        }
        let reserved = &properties["ReservedConcurrentExecutions"]["Fn::If"];
        wrong.unless(
            reserved[0] == "Reserves" && reserved[1].as_u64().is_some_and(|count| count > 0),
            format!("{name}: unbounded"),
        );
        wrong.unless(
            properties["Timeout"].as_u64().is_some_and(|seconds| seconds <= 900),
            format!("{name}: time limit"),
        );
        let group = format!("{name}LogGroup");
        wrong
            .unless(properties["LoggingConfig"]["LogGroup"] == json!({"Ref": group}), format!("{name}: another's log"));
        wrong.unless(
            resources[&group]["Properties"]["RetentionInDays"] == json!({"Ref": "FunctionLogRetentionDays"}),
            format!("{name}: endless log"),
        );
    }
    wrong.0
}

/// Lambda drops lines below a level of its own, and takes one without a level for INFO: every metric is such a line.
fn log_levels(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let debug = json!({"Fn::Equals": [{"Ref": "LogLevel"}, "DEBUG"]});
    wrong.unless(templates.stack["Conditions"]["LogsDebug"] == debug, "another level than DEBUG");
    for (name, _) in FUNCTIONS {
        let logging = &templates.stack["Resources"][format!("{name}Function")]["Properties"]["LoggingConfig"];
        wrong.unless(logging["LogFormat"] == "JSON", format!("{name}: no JSON"));
        let level = json!({"Fn::If": ["LogsDebug", "DEBUG", "INFO"]});
        wrong.unless(logging["ApplicationLogLevel"] == level, format!("{name}: lines or metrics are dropped"));
    }
    wrong.0
}

/// The memory that comes with a whole vCPU, in MB.
const VCPU: u64 = 1_769;
/// The processor time of an event in the alerter, and what it may take of the clock, in 99 of 100, in milliseconds.
const ALERTER: (u64, u64) = (10, 50);

fn alerter_speed(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let memory = &templates.stack["Resources"]["AlerterFunction"]["Properties"]["MemorySize"];
    let (processor, aim) = ALERTER;
    let takes = processor * VCPU / memory.as_u64().unwrap_or(1);
    wrong.unless(takes <= aim, format!("an event takes {takes} ms"));
    wrong.0
}

/// Variables that the code reads, and the parameters that they come from where it is one alone.
type Variables = &'static [(&'static str, &'static str)];

/// What glibc reads: how many heaps the threads of a function have.
const HEAPS: &str = "MALLOC_ARENA_MAX";

const EVERYWHERE: Variables =
    &[("STACK_NAME", "AWS::StackName"), ("AWS_ACCOUNT_ID", "AWS::AccountId"), ("LOG_LEVEL", "LogLevel")];
const ALERTING: Variables = &[
    ("ALERTS_TABLE_NAME", "AlertsTable"),
    ("ALERTS_SNS_TOPIC_ARN", "AlertsTopic"),
    ("ALERTS_ENABLED", "EnableSecurityAlerts"),
    ("RETENTION_DAYS", "RetentionDays"),
    ("OFF_HOURS_START", "OffHoursStart"),
    ("OFF_HOURS_END", "OffHoursEnd"),
    ("WATCHED_ACTIONS", ""),
];
const CONTROLLED: Variables = &[("CONTROL_TABLE_NAME", "ControlTable")];
const STORING: Variables = &[("EVENTS_TABLE_NAME", "EventsTable")];
const CHOOSING: Variables = &[
    ("PROCESS_IAM_EVENTS", "ProcessIAMEvents"),
    ("PROCESS_STS_EVENTS", "ProcessSTSEvents"),
    ("PROCESS_SIGNIN_EVENTS", "ProcessSigninEvents"),
    ("PROCESS_SSO_EVENTS", "ProcessSSOEvents"),
    ("SSO_REGION", "SSORegion"),
    ("EXTRA_SOURCES", "ExtraSources"),
    ("REGIONS", "Regions"),
    ("FILTER_AWS_SERVICE_EVENTS", "FilterAWSServiceEvents"),
    ("FILTERED_ROLES", "FilteredRoles"),
];
const TRACKING: Variables = &[
    ("MAX_WORKERS", "MaxWorkers"),
    (HEAPS, ""),
    ("MEMBER_ACCOUNTS", "MemberAccounts"),
    ("MEMBER_ROLE_NAME", "MemberRoleName"),
    ("MEMBER_EXTERNAL_ID", "MemberExternalId"),
];
const EXPORTING: Variables = &[
    ("ANALYTICS_BUCKET_NAME", "AnalyticsBucket"),
    ("EXPORT_DAYS_BACK", "ExportDaysBack"),
    ("EXPORT_LAYOUT", "ExportLayout"),
    ("EXPORT_COMPRESSION", "ExportCompression"),
    ("PARTITION_BY_REGION", "PartitionByRegion"),
    ("LOGS_BUCKET_NAME", ""),
];

fn environments(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let wanted: [(&str, &[Variables]); 3] = [
        ("Tracker", &[EVERYWHERE, ALERTING, CONTROLLED, STORING, CHOOSING, TRACKING]),
        ("Alerter", &[EVERYWHERE, ALERTING, CONTROLLED]),
        ("Exporter", &[EVERYWHERE, CONTROLLED, STORING, CHOOSING, EXPORTING]),
    ];
    for (name, groups) in wanted {
        let variables =
            &templates.stack["Resources"][format!("{name}Function")]["Properties"]["Environment"]["Variables"];
        let known: Vec<&(&str, &str)> = groups.iter().copied().flatten().collect();
        for (variable, source) in &known {
            let found = &variables[*variable];
            let is_right = if source.is_empty() { !found.is_null() } else { *found == json!({"Ref": source}) };
            wrong.unless(is_right, format!("{name}: {variable}"));
        }
        wrong.unless(variables[HEAPS].is_null() || variables[HEAPS] == "1", format!("{name}: more than one heap"));
        for variable in variables.as_object().unwrap().keys() {
            wrong.unless(known.iter().any(|(one, _)| one == variable), format!("{name}: nobody reads {variable}"));
        }
    }
    wrong.0
}

/// What the tables above name is read somewhere.
#[test]
fn the_code_reads_every_variable() {
    let mut source = String::new();
    for file in std::fs::read_dir("../lambda/src").unwrap().chain(std::fs::read_dir("../lambda/src/bin").unwrap()) {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            source.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    let all = [EVERYWHERE, ALERTING, STORING, CHOOSING, TRACKING, EXPORTING].into_iter().flatten();
    for (variable, _) in all.filter(|(variable, _)| *variable != HEAPS) {
        assert!(source.contains(&format!("\"{variable}\"")), "nothing in crates/lambda/src reads {variable}");
    }
}

fn schedules(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let resources = &templates.stack["Resources"];
    let failures = json!({"Fn::GetAtt": ["FailuresQueue", "Arn"]});
    for (name, parameter) in [("Tracker", "ScheduleExpression"), ("Exporter", "ExportScheduleExpression")] {
        let schedule = &resources[format!("{name}Schedule")]["Properties"];
        let target = &schedule["Target"];
        wrong.unless(
            schedule["ScheduleExpression"] == json!({"Ref": parameter}),
            format!("{name}: no choice of schedule"),
        );
        wrong.unless(
            target["Arn"] == json!({"Fn::GetAtt": [format!("{name}Function"), "Arn"]}),
            format!("{name}: another function"),
        );
        wrong.unless(target["RoleArn"] == json!({"Fn::GetAtt": ["SchedulerRole", "Arn"]}), format!("{name}: role"));
        wrong.unless(text(&target["Input"]) == "{}", format!("{name}: input"));
        wrong.unless(
            target["DeadLetterConfig"]["Arn"] == failures,
            format!("{name}: a call that could not be made is lost"),
        );
        let on_failure = &resources[format!("{name}OnFailure")]["Properties"];
        let is_kept = on_failure["FunctionName"] == json!({"Ref": format!("{name}Function")})
            && on_failure["DestinationConfig"]["OnFailure"]["Destination"] == failures;
        wrong.unless(is_kept, format!("{name}: a run that failed is lost"));
    }
    wrong.0
}

fn athena(templates: &Templates) -> Vec<String> {
    let mut wrong = Violations::default();
    let workgroup = &templates.stack["Resources"]["AthenaWorkGroup"]["Properties"];
    let configuration = &workgroup["WorkGroupConfiguration"];
    wrong.unless(configuration["BytesScannedCutoffPerQuery"] == json!({"Ref": "AthenaScanLimitBytes"}), "no limit");
    wrong.unless(configuration["EnforceWorkGroupConfiguration"] == true, "a client can ask around the limit");
    let location: &Value = &configuration["ResultConfiguration"]["OutputLocation"];
    wrong
        .unless(*location == json!({"Fn::Sub": "s3://${AthenaResultsBucket}/"}), "results go where they do not expire");
    wrong.0
}
