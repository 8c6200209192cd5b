//! How events reach detections.

use std::collections::HashMap;

use event::Event;
use foldhash::fast::FixedState;

use crate::config::{ConfigError, DetectConfig, Settings};
use crate::detection::{Detection, Triggers, service};
use crate::{Finding, Severity, all};

/// The detections that are on, indexed by event name.
///
/// An event whose name no detection asks for costs one look-up and the first question of the few detections that see
/// every event. Nothing is allocated where nothing fires, but for the parsed parameters of an event that is looked into.
#[derive(Debug)]
pub struct Registry {
    by_name: HashMap<&'static str, Vec<Candidate>, FixedState>,
    every_event: Vec<Entry>,
    otherwise: Vec<Entry>,
    settings: Settings,
}

/// A detection that is on, with the severity the user gives it.
#[derive(Debug, Clone, Copy)]
struct Entry {
    detection: &'static Detection,
    severity: Option<Severity>,
}

/// A detection that asks for an event name, of one service.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    service: &'static str,
    entry: Entry,
}

impl Registry {
    /// The detections a configuration leaves on.
    ///
    /// # Errors
    /// Where the configuration names a detection there is none of, or a pattern that is none.
    pub fn new(config: &DetectConfig) -> Result<Registry, ConfigError> {
        config.validate()?;
        let mut registry = Registry {
            by_name: HashMap::default(),
            every_event: Vec::new(),
            otherwise: Vec::new(),
            settings: Settings::of(config),
        };
        for &detection in all() {
            if config.disabled.iter().any(|id| id == detection.id) {
                continue;
            }
            registry.add(Entry { detection, severity: config.severity.get(detection.id).copied() });
        }
        Ok(registry)
    }

    fn add(&mut self, entry: Entry) {
        match entry.detection.triggers {
            Triggers::EveryEvent => self.every_event.push(entry),
            Triggers::Otherwise => self.otherwise.push(entry),
            Triggers::Calls(calls) => {
                for calls in calls {
                    for name in calls.names {
                        let candidate = Candidate { service: calls.service, entry };
                        self.by_name.entry(name).or_default().push(candidate);
                    }
                }
            }
        }
    }

    /// Runs every detection that concerns an event and reports what they find.
    pub fn check(&self, event: &Event<'_>, report: &mut impl FnMut(Finding)) {
        let mut found = false;
        if let Some(candidates) = self.by_name.get(event.name()) {
            let service = service(event);
            for candidate in candidates.iter().filter(|candidate| candidate.service == service) {
                found |= self.run(&candidate.entry, event, report);
            }
        }
        for entry in &self.every_event {
            found |= self.run(entry, event, report);
        }
        if found {
            return;
        }
        for entry in &self.otherwise {
            self.run(entry, event, report);
        }
    }

    /// Runs one detection and tells whether it fired.
    fn run(&self, entry: &Entry, event: &Event<'_>, report: &mut impl FnMut(Finding)) -> bool {
        let Some(deed) = (entry.detection.check)(event, &self.settings) else { return false };
        report(deed.into_finding(entry.detection, event, entry.severity));
        true
    }

    /// What the detections find in one event.
    #[must_use]
    pub fn findings(&self, event: &Event<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.check(event, &mut |finding| findings.push(finding));
        findings
    }
}

impl Default for Registry {
    /// All detections as they come.
    fn default() -> Self {
        Registry::new(&DetectConfig::default()).expect("the default configuration is valid")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::{Value, json};
    use testkit::EventBuilder;

    use super::*;

    /// The events a detection is tested with.
    pub(crate) struct Examples {
        /// The detection fires, and the deed is done.
        pub(crate) fires: Vec<EventBuilder>,
        /// The detection fires on a denied or failed call.
        pub(crate) attempts: Vec<EventBuilder>,
        /// The detection does not fire.
        pub(crate) quiet: Vec<EventBuilder>,
    }

    /// What the examples are judged with: the defaults, something to watch, and hours to sleep.
    fn config() -> DetectConfig {
        let (watched_actions, off_hours) = (vec!["kms:*".to_owned()], "22-6".to_owned());
        DetectConfig { watched_actions, off_hours, ..DetectConfig::default() }
    }

    fn registry() -> Registry {
        Registry::new(&config()).expect("valid")
    }

    fn fired<'f>(findings: &'f [Finding], detection: &Detection) -> Option<&'f Finding> {
        findings.iter().find(|finding| finding.detection == detection)
    }

    #[test]
    fn every_detection_fires_on_its_examples_and_keeps_quiet_on_its_counter_examples() {
        let registry = registry();
        for detection in all() {
            let Examples { fires, attempts, quiet } = (detection.examples)();
            assert!(!fires.is_empty(), "{} has no example", detection.id);
            assert!(!quiet.is_empty(), "{} has no counter-example", detection.id);
            assert_eq!(attempts.is_empty(), detection.attempted_severity.is_none(), "attempts of {}", detection.id);
            for event in fires.iter().map(EventBuilder::to_event) {
                let findings = registry.findings(&event);
                let finding = fired(&findings, detection);
                let finding = finding.unwrap_or_else(|| panic!("{} missed {}", detection.id, event.to_json()));
                assert!(detection.attempted_severity.is_none() || !finding.attempted, "{finding:?}");
                assert!(!finding.title.starts_with("Attempted"), "{finding:?}");
                assert!(finding.severity <= detection.severity, "{finding:?}");
            }
            for event in attempts.iter().map(EventBuilder::to_event) {
                let findings = registry.findings(&event);
                let finding = fired(&findings, detection);
                let finding = finding.unwrap_or_else(|| panic!("{} missed {}", detection.id, event.to_json()));
                assert!(finding.attempted, "{finding:?}");
                assert!(finding.title.starts_with("Attempted: "), "{finding:?}");
                assert!(finding.summary.contains(" tried to "), "{finding:?}");
                assert_eq!(Some(finding.severity), detection.attempted_severity, "{finding:?}");
            }
            for event in quiet.iter().map(EventBuilder::to_event) {
                let findings = registry.findings(&event);
                assert!(fired(&findings, detection).is_none(), "{} fired on {}", detection.id, event.to_json());
            }
        }
    }

    #[test]
    fn every_example_turned_into_a_failure_is_never_reported_as_done() {
        let registry = registry();
        for detection in all().iter().filter(|detection| detection.attempted_severity.is_some()) {
            for example in (detection.examples)().fires {
                let event = example.error("AccessDenied").to_event();
                for finding in registry.findings(&event) {
                    assert!(finding.attempted, "{finding:?}");
                    if finding.detection.attempted_severity.is_some() {
                        assert!(finding.title.starts_with("Attempted: "), "{finding:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_detection_is_described_in_all_parts() {
        let mut ids = BTreeSet::new();
        for detection in all() {
            let Detection { id, title, docs, techniques, .. } = detection;
            assert!(ids.insert(id), "{id} is there twice");
            let kebab = id.split('-').all(|word| {
                !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            });
            assert!(kebab, "{id} is not in kebab case");
            assert!(title.starts_with(|first: char| first.is_ascii_uppercase()), "{id}");
            for text in [docs.summary, docs.why, docs.false_positives, docs.what_to_do, detection.action_required] {
                assert!(text.len() > 15 && text.trim() == text && text.ends_with('.'), "{id}: {text:?}");
            }
            assert!(docs.references.iter().any(|link| link.starts_with("https://docs.aws.amazon.com/")), "{id}");
            assert!(docs.references.iter().all(|link| link.starts_with("https://")), "{id}");
            assert!(!techniques.is_empty(), "{id}");
            for technique in *techniques {
                assert!(is_technique(technique), "{id}: {technique}");
            }
            assert!(detection.attempted_severity.is_none_or(|attempted| attempted <= detection.severity), "{id}");
        }
    }

    fn is_technique(id: &str) -> bool {
        let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        let Some(number) = id.strip_prefix('T') else { return false };
        match number.split_once('.') {
            Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
            None => digits(number, 4),
        }
    }

    #[test]
    fn every_file_of_detections_is_registered_under_its_name() {
        let files: BTreeSet<String> = std::fs::read_dir("src/detections")
            .expect("the folder is there")
            .map(|file| file.expect("readable").file_name().to_string_lossy().replace(".rs", "").replace('_', "-"))
            .collect();
        let ids: BTreeSet<String> = all().iter().map(|detection| detection.id.to_owned()).collect();
        assert_eq!(files, ids);
    }

    #[test]
    fn classic_titles_stay() {
        for (id, title) in [
            ("root-console-login", "Root Account Login"),
            ("root-console-login-failed", "Failed Root Login"),
            ("iam-user-created", "IAM User Created"),
            ("admin-policy-attached", "Admin Policy Attached"),
            ("access-key-created", "Access Key Created"),
        ] {
            assert_eq!(crate::find(id).map(|detection| detection.title), Some(title));
        }
    }

    #[test]
    fn a_disabled_detection_is_silent_and_a_severity_can_be_set() {
        let config = DetectConfig {
            disabled: vec!["root-api-use".to_owned()],
            severity: [("iam-user-created".to_owned(), Severity::Low)].into(),
            ..DetectConfig::default()
        };
        let registry = Registry::new(&config).expect("valid");
        let created = testkit::event("CreateUser").root().request(json!({"userName": "eve"}));
        let [finding] = &registry.findings(&created.to_event())[..] else { panic!("one finding") };
        assert_eq!((finding.detection.id, finding.severity), ("iam-user-created", Severity::Low));
        let [attempt] = &registry.findings(&created.error("AccessDenied").to_event())[..] else {
            panic!("one finding")
        };
        assert_eq!(attempt.severity, Severity::Informational, "an attempt ranks below the deed");
    }

    #[test]
    fn an_attempt_ranks_below_the_deed_whatever_its_severity() {
        let detections = all().iter().filter(|detection| detection.attempted_severity.is_some());
        for detection in detections {
            let mut compared = 0;
            let configured = Severity::ALL.into_iter().map(Some).chain([None]);
            for severity in configured {
                let severities = severity.map(|severity| (detection.id.to_owned(), severity));
                let config = DetectConfig { severity: severities.into_iter().collect(), ..config() };
                let registry = Registry::new(&config).expect("valid");
                for example in (detection.examples)().fires {
                    let [deed, attempt] = [example.clone(), example.error("AccessDenied")].map(|call| {
                        let findings = registry.findings(&call.to_event());
                        fired(&findings, detection).cloned()
                    });
                    let (Some(deed), Some(attempt)) = (deed, attempt) else { continue };
                    let is_lower = attempt.severity < deed.severity;
                    // Nothing ranks below the lowest.
                    assert!(is_lower || deed.severity == Severity::Informational, "{deed:?} and {attempt:?}");
                    compared += 1;
                }
            }
            assert!(compared > 0, "{} has no example to compare", detection.id);
        }
    }

    #[test]
    fn an_empty_error_code_is_no_failure() {
        let [finding] = &registry().findings(&testkit::event("CreateUser").error("").to_event())[..] else {
            panic!("one finding")
        };
        assert!(!finding.attempted && !finding.title.starts_with("Attempted"), "{finding:?}");
        let login = testkit::console_login("Success").root().field("errorCode", "").error_message("");
        let titles: Vec<String> =
            registry().findings(&login.to_event()).into_iter().map(|finding| finding.title).collect();
        assert_eq!(titles, ["Root Account Login"]);
    }

    #[test]
    fn a_watched_action_is_told_of_only_where_nothing_else_fires() {
        let config = DetectConfig { watched_actions: vec!["IAM:*User".to_owned()], ..DetectConfig::default() };
        let registry = Registry::new(&config).expect("valid");
        let ids = |name| {
            let findings = registry.findings(&testkit::event(name).request(json!({"userName": "eve"})).to_event());
            findings.iter().map(|finding| finding.detection.id).collect::<Vec<_>>()
        };
        assert_eq!(ids("CreateUser"), ["iam-user-created"]);
        assert_eq!(ids("DeleteUser"), ["watched-action"]);
        assert_eq!(ids("DeleteRole"), Vec::<&str>::new());
    }

    #[test]
    fn a_foreign_text_of_any_length_leaves_the_summary_short() {
        let event = testkit::event("CreateUser").request(json!({"userName": "x".repeat(100_000)})).to_event();
        let findings = registry().findings(&event);
        assert!(findings[0].summary.len() < 1000, "{}", findings[0].summary.len());
    }

    /// Every detection asks for itself whether the event concerns it: the oracle of the index.
    fn linear_scan(registry: &Registry, event: &Event<'_>) -> BTreeSet<(&'static str, String)> {
        let run = |detection: &&'static Detection| {
            let deed = detection.triggers.include(event).then(|| (detection.check)(event, &registry.settings))??;
            Some((detection.id, deed.into_finding(detection, event, None).summary))
        };
        let last = |detection: &&&'static Detection| matches!(detection.triggers, Triggers::Otherwise);
        let first: BTreeSet<_> = all().iter().filter(|detection| !last(detection)).filter_map(run).collect();
        if !first.is_empty() {
            return first;
        }
        all().iter().filter(last).filter_map(run).collect()
    }

    /// Records around what detections ask for: their own examples, with names, services, callers and parameters mixed.
    fn any_event() -> impl Strategy<Value = EventBuilder> {
        let examples: Vec<EventBuilder> = all()
            .iter()
            .flat_map(|detection| {
                let Examples { fires, attempts, quiet } = (detection.examples)();
                fires.into_iter().chain(attempts).chain(quiet)
            })
            .collect();
        let records: Vec<Value> = examples.iter().map(|example| example.clone().build()).collect();
        let field = move |name: &str| {
            let values: Vec<Value> = records.iter().filter_map(|record| record.get(name).cloned()).collect();
            proptest::option::weighted(0.3, proptest::sample::select(values))
        };
        let mixed = (field("eventName"), field("eventSource"), field("userIdentity"), field("requestParameters"));
        (proptest::sample::select(examples), mixed, proptest::bool::weighted(0.2)).prop_map(
            |(example, (name, source, identity, request), failed)| {
                let fields = [
                    ("eventName", name),
                    ("eventSource", source),
                    ("userIdentity", identity),
                    ("requestParameters", request),
                ];
                let mixed = fields
                    .into_iter()
                    .filter_map(|(field, value)| Some((field, value?)))
                    .fold(example, |event, (field, value)| event.field(field, value));
                if failed { mixed.error("AccessDenied") } else { mixed }
            },
        )
    }

    /// Any JSON, with keys that detections ask for among others.
    fn arbitrary_json() -> impl Strategy<Value = Value> {
        const KEYS: &str = "userName|policyArn|policyDocument|assumeRolePolicyDocument|Statement|Principal|Action|omitted|\
                            groupName|status|eventSelectors|advancedEventSelectors|fieldSelectors|field|equals|\
                            permissionsBoundary|managedPolicyArn|inlinePolicy|insightSelectors|serialNumber|[a-z]{0,3}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,40}".prop_map(Value::from),
            "arn:aws:iam::(aws|[0-9]{12}):policy/.{0,300}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(KEYS, inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn no_request_breaks_a_detection_or_makes_its_sentence_long(
            event in any_event(),
            request in arbitrary_json(),
            response in arbitrary_json(),
        ) {
            let event = event.request(request).response(response).to_event();
            for finding in registry().findings(&event) {
                prop_assert!(finding.summary.chars().count() < 3000, "{}", finding.summary);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn indexed_dispatch_is_a_linear_scan(event in any_event()) {
            let registry = registry();
            let event = event.to_event();
            let indexed: BTreeSet<_> =
                registry.findings(&event).into_iter().map(|finding| (finding.detection.id, finding.summary)).collect();
            prop_assert_eq!(indexed, linear_scan(&registry, &event));
        }
    }
}
