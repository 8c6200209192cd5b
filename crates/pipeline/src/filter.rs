//! What is kept out of the store: the classic tracker's filters.
//!
//! A filter never hides an event from a detection: detections have run before a filter is asked. What a filter leaves
//! out is counted under its [`FilterReason`], so that a run's counts add up.

use std::borrow::Cow;
use std::fmt;

use event::Event;
use serde::{Deserialize, Serialize};

use crate::pattern::{Pattern, PatternError};

/// The table `[filter]` of the configuration. Everything is off by default: everything read is stored.
///
/// ```toml
/// [filter]
/// sources = ["iam", "sts", "signin", "sso"]
/// service_events = true
/// roles = ["terraform-*", "arn:aws:iam::111122223333:role/ci/deploy"]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterConfig {
    /// The event sources that are stored, such as `iam` or `iam.amazonaws.com`; `sso` stands for all of Identity Center
    /// (`sso-directory`, `identitystore`, `sso-oauth` too). Default: none named, all are stored.
    pub sources: Vec<String>,
    /// Whether to leave out what AWS services do with their service-linked roles: assuming one, and whatever its
    /// session does. Default: `false`.
    pub service_events: bool,
    /// Roles to leave out, both the calls that assume them and whatever their sessions do: by name (`deploy`), by path
    /// and name (`/ci/deploy`) or by ARN (`arn:aws:iam::111122223333:role/ci/deploy`), with `*` and `?`, in either
    /// case. Default: none.
    pub roles: Vec<String>,
}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// An entry of `filter.sources` is no event source.
    #[error("filter.sources: {0:?} is no event source; write `iam` or `iam.amazonaws.com`")]
    Source(String),
    /// An entry of `filter.roles` is no pattern.
    #[error("filter.roles: {0}")]
    Role(#[from] PatternError),
}

/// Why an event is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilterReason {
    /// Its source is none of `filter.sources`.
    Source,
    /// An AWS service's doing with a service-linked role (`filter.service_events`).
    ServiceEvent,
    /// A role of `filter.roles`.
    Role,
}

impl FilterReason {
    /// Every reason, in the order in which the filters are asked.
    pub const ALL: [FilterReason; 3] = [FilterReason::Source, FilterReason::ServiceEvent, FilterReason::Role];

    /// The name under which it is counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            FilterReason::Source => "source",
            FilterReason::ServiceEvent => "service-event",
            FilterReason::Role => "role",
        }
    }
}

impl fmt::Display for FilterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The filters of a [`FilterConfig`], ready to be asked.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    sources: Vec<EventSource>,
    service_events: bool,
    roles: Vec<RolePattern>,
}

/// An event source by its full name, and the services that a short one stands for.
#[derive(Debug, Clone)]
struct EventSource {
    name: String,
    event_type: Option<String>,
}

impl EventSource {
    fn new(entry: &str) -> Result<EventSource, FilterError> {
        let is_name_character = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        if entry.is_empty() || !entry.bytes().all(is_name_character) {
            return Err(FilterError::Source(entry.to_owned()));
        }
        Ok(if entry.contains('.') {
            EventSource { name: entry.to_owned(), event_type: None }
        } else {
            EventSource { name: format!("{entry}.amazonaws.com"), event_type: Some(entry.to_ascii_lowercase()) }
        })
    }

    fn matches(&self, event: &Event<'_>) -> bool {
        let source = event.source();
        let is_member = || {
            source.ends_with(".amazonaws.com")
                && self.event_type.is_some()
                && event.event_type() == self.event_type.as_deref()
        };
        self.name.eq_ignore_ascii_case(source) || is_member()
    }
}

impl Filters {
    /// Makes the filters ready.
    ///
    /// # Errors
    /// [`FilterError`], naming the entry that cannot be one.
    pub fn new(config: &FilterConfig) -> Result<Filters, FilterError> {
        Ok(Filters {
            sources: config.sources.iter().map(|entry| EventSource::new(entry)).collect::<Result<_, _>>()?,
            service_events: config.service_events,
            roles: config.roles.iter().map(|entry| RolePattern::new(entry)).collect::<Result<_, _>>()?,
        })
    }

    /// Whether the event is to be stored; where not, why.
    #[must_use]
    pub fn leave_out(&self, event: &Event<'_>) -> Option<FilterReason> {
        if !self.sources.is_empty() && !self.sources.iter().any(|source| source.matches(event)) {
            return Some(FilterReason::Source);
        }
        if self.service_events && is_service_event(event) {
            return Some(FilterReason::ServiceEvent);
        }
        if self.roles.is_empty() {
            return None;
        }
        let mut roles = [assumed_role(event), session_role(event)].into_iter().flatten();
        let is_named = roles.any(|role| self.roles.iter().any(|pattern| pattern.matches(&role)));
        is_named.then_some(FilterReason::Role)
    }
}

/// Whether an AWS service assumes a service-linked role, or the session of one acts.
fn is_service_event(event: &Event<'_>) -> bool {
    if event.role_arn().is_some_and(is_service_linked) {
        return true;
    }
    let by_a_service = event.actor_type() == Some("AWSService");
    // The text is looked at first: it is there already, and parsing it is not free.
    let may_name_one = || event.request_parameters().is_some_and(|request| request.contains("aws-service-role"));
    by_a_service && may_name_one() && assumed_role_arn(event).is_some_and(is_service_linked)
}

/// Whether a role's ARN stands under the path that IAM reserves for service-linked roles. Only the start of the path
/// is reserved: `role/mine/aws-service-role/x` is anybody's.
fn is_service_linked(role_arn: &str) -> bool {
    Role::of_arn(role_arn).is_some_and(|role| role.path_and_name.starts_with("/aws-service-role/"))
}

/// A role as an event names it.
struct Role<'a> {
    /// Empty where only the name is known.
    arn: Cow<'a, str>,
    /// From the `/` behind `role`, so that it begins with one.
    path_and_name: Cow<'a, str>,
}

impl<'a> Role<'a> {
    /// A role from its ARN, `arn:aws:iam::111122223333:role/path/name`.
    fn of_arn(arn: &'a str) -> Option<Role<'a>> {
        let resource = arn.splitn(6, ':').nth(5)?;
        let path_and_name = resource.strip_prefix("role")?;
        path_and_name.starts_with('/').then(|| Role { arn: arn.into(), path_and_name: path_and_name.into() })
    }

    /// A role from its session's ARN, `arn:aws:sts::111122223333:assumed-role/name/session`: the path is not in it.
    fn of_session_arn(arn: &'a str) -> Option<Role<'a>> {
        let mut parts = arn.splitn(6, ':');
        let (partition, account) = (parts.nth(1)?, parts.nth(2)?);
        let name = parts.next()?.strip_prefix("assumed-role/")?.split('/').next()?;
        let arn = format!("arn:{partition}:iam::{account}:role/{name}");
        Some(Role { arn: arn.into(), path_and_name: format!("/{name}").into() })
    }

    fn name(&self) -> &str {
        self.path_and_name.rsplit('/').next().unwrap_or_default()
    }
}

/// The role that a call of the AssumeRole family asks for.
fn assumed_role<'a>(event: &'a Event<'_>) -> Option<Role<'a>> {
    Role::of_arn(assumed_role_arn(event)?)
}

fn assumed_role_arn<'a>(event: &'a Event<'_>) -> Option<&'a str> {
    // AssumeRole, AssumeRoleWithSAML, AssumeRoleWithWebIdentity.
    let assumes = event.source() == "sts.amazonaws.com" && event.name().starts_with("AssumeRole");
    if !assumes {
        return None;
    }
    event.request().get("roleArn")?.as_str()
}

/// The role whose session makes the call.
fn session_role<'a>(event: &'a Event<'_>) -> Option<Role<'a>> {
    let issuer = event.role_arn().and_then(Role::of_arn);
    issuer.or_else(|| event.actor_arn().and_then(Role::of_session_arn))
}

/// An entry of `filter.roles`.
#[derive(Debug, Clone)]
enum RolePattern {
    /// It has a colon, which no name or path can have.
    Arn(Pattern),
    /// It has a slash, which no name can have.
    PathAndName(Pattern),
    Name(Pattern),
}

impl RolePattern {
    fn new(entry: &str) -> Result<RolePattern, PatternError> {
        if entry.contains(':') {
            return Pattern::new(entry).map(RolePattern::Arn);
        }
        if entry.contains('/') {
            let is_rooted = entry.starts_with(['/', '*']);
            let rooted = if is_rooted { entry.to_owned() } else { format!("/{entry}") };
            return Pattern::new(&rooted).map(RolePattern::PathAndName);
        }
        Pattern::new(entry).map(RolePattern::Name)
    }

    fn matches(&self, role: &Role<'_>) -> bool {
        match self {
            RolePattern::Arn(pattern) => pattern.matches(&role.arn),
            RolePattern::PathAndName(pattern) => pattern.matches(&role.path_and_name),
            RolePattern::Name(pattern) => pattern.matches(role.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Column, Timestamp};
    use serde_json::json;

    fn event(columns: &[(Column, &'static str)]) -> Event<'static> {
        let mut event = Event::new(Timestamp::parse("2024-05-01T10:00:00Z").unwrap());
        for &(column, text) in columns {
            event.set(column, Cow::Borrowed(text));
        }
        event
    }

    fn assume_role(role: &str) -> testkit::EventBuilder {
        let request = json!({"roleArn": format!("arn:aws:iam::111122223333:role/{role}"), "roleSessionName": "x"});
        testkit::event("AssumeRole").source("sts").request(request)
    }

    fn session_of(role: &str) -> Event<'static> {
        testkit::event("DescribeInstances").source("ec2").role_session(role, "x").to_event()
    }

    fn roles(entries: &[&str]) -> Filters {
        let roles = entries.iter().map(|&entry| entry.to_owned()).collect();
        Filters::new(&FilterConfig { roles, ..FilterConfig::default() }).unwrap()
    }

    const LINKED: &str = "aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS";
    const ECS: &str = "ecs.amazonaws.com";

    #[test]
    fn stores_everything_by_default() {
        let filters = Filters::new(&FilterConfig::default()).unwrap();
        for event in [session_of(LINKED), assume_role(LINKED).aws_service(ECS).to_event(), event(&[])] {
            assert_eq!(filters.leave_out(&event), None);
        }
    }

    #[test]
    fn stores_only_the_sources_named_in_either_form_and_case() {
        let sources = vec!["IAM".to_owned(), "sts.amazonaws.com".to_owned()];
        let filters = Filters::new(&FilterConfig { sources, ..FilterConfig::default() }).unwrap();
        for (source, expected) in [
            ("iam.amazonaws.com", None),
            ("STS.amazonaws.com", None),
            ("s3.amazonaws.com", Some(FilterReason::Source)),
            ("notiam.amazonaws.com", Some(FilterReason::Source)),
            ("iam.amazonaws.com.evil.example", Some(FilterReason::Source)),
        ] {
            assert_eq!(filters.leave_out(&event(&[(Column::EventSource, source)])), expected, "{source}");
        }
        assert_eq!(filters.leave_out(&event(&[])), Some(FilterReason::Source));
    }

    #[test]
    fn a_short_name_stands_for_its_family_of_services() {
        let of = |sources: &[&str]| {
            let sources = sources.iter().map(|&source| source.to_owned()).collect();
            Filters::new(&FilterConfig { sources, ..FilterConfig::default() }).unwrap()
        };
        let by = |service: &str| testkit::event("CreateUser").source(service).to_event();
        for service in ["sso", "sso-directory", "identitystore", "sso-oauth"] {
            assert_eq!(of(&["sso"]).leave_out(&by(service)), None, "{service}");
        }
        assert_eq!(of(&["sso.amazonaws.com"]).leave_out(&by("identitystore")), Some(FilterReason::Source));
        assert_eq!(of(&["sso"]).leave_out(&by("iam")), Some(FilterReason::Source));
    }

    #[test]
    fn leaves_out_what_services_do_with_service_linked_roles() {
        let filters = Filters::new(&FilterConfig { service_events: true, ..FilterConfig::default() }).unwrap();
        let out = Some(FilterReason::ServiceEvent);
        assert_eq!(filters.leave_out(&session_of(LINKED)), out);
        assert_eq!(filters.leave_out(&assume_role(LINKED).aws_service(ECS).to_event()), out);

        // A person who tries to assume one is worth keeping.
        assert_eq!(filters.leave_out(&assume_role(LINKED).to_event()), None);
        // A service assuming an ordinary role, whatever it calls its session.
        let request =
            json!({"roleArn": "arn:aws:iam::111122223333:role/lambda", "roleSessionName": "aws-service-role"});
        assert_eq!(filters.leave_out(&assume_role("lambda").aws_service(ECS).request(request).to_event()), None);
        // Only the start of the path is reserved: these are anybody's to create.
        for role in ["mine/aws-service-role/x", "aws-service-role"] {
            assert_eq!(filters.leave_out(&session_of(role)), None, "{role}");
        }
    }

    #[test]
    fn leaves_out_roles_by_name_path_wildcard_and_arn_in_either_case() {
        let deploy = session_of("ci/Deploy-Prod");
        for (pattern, hits) in [
            ("deploy-prod", true),
            ("deploy-*", true),
            ("*-PROD", true),
            ("deploy", false),
            ("ci/deploy-prod", true),
            ("/ci/*", true),
            ("*/deploy-prod", true),
            ("/deploy-prod", false),
            ("arn:aws:iam::111122223333:role/ci/deploy-prod", true),
            ("arn:aws:iam::*:role/ci/*", true),
            ("arn:aws:iam::111122223333:role/deploy-prod", false),
            ("arn:aws:iam::999999999999:role/ci/deploy-prod", false),
        ] {
            let expected = hits.then_some(FilterReason::Role);
            assert_eq!(roles(&[pattern]).leave_out(&deploy), expected, "{pattern}");
        }
    }

    #[test]
    fn a_role_pattern_applies_to_assuming_it_and_to_its_sessions() {
        let filters = roles(&["other", "deploy"]);
        let out = Some(FilterReason::Role);
        assert_eq!(filters.leave_out(&assume_role("deploy").to_event()), out);
        assert_eq!(filters.leave_out(&session_of("deploy")), out);
        // A session without its issuer is known by its own ARN.
        let session = |arn| event(&[(Column::ActorArn, arn)]);
        assert_eq!(filters.leave_out(&session("arn:aws:sts::111122223333:assumed-role/deploy/alice")), out);

        // A session that calls itself after the role, a user of that name, and a role merely looked at.
        assert_eq!(filters.leave_out(&session("arn:aws:sts::111122223333:assumed-role/admin/deploy")), None);
        assert_eq!(filters.leave_out(&session("arn:aws:iam::111122223333:user/deploy")), None);
        let get_role = event(&[
            (Column::EventSource, "iam.amazonaws.com"),
            (Column::EventName, "GetRole"),
            (Column::RequestParameters, r#"{"roleName":"deploy","roleArn":"arn:aws:iam::111122223333:role/deploy"}"#),
        ]);
        assert_eq!(filters.leave_out(&get_role), None);
    }

    #[test]
    fn a_wrong_entry_is_named() {
        let sources = vec!["iam,sts".to_owned()];
        let error = Filters::new(&FilterConfig { sources, ..FilterConfig::default() }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "filter.sources: \"iam,sts\" is no event source; write `iam` or `iam.amazonaws.com`"
        );
        let roles = vec![String::new()];
        let error = Filters::new(&FilterConfig { roles, ..FilterConfig::default() }).unwrap_err();
        assert_eq!(error.to_string(), "filter.roles: pattern \"\" is empty or has blanks around it");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let refused = serde_json::from_str::<FilterConfig>(r#"{"source":["iam"]}"#).unwrap_err();
        assert!(refused.to_string().contains("unknown field `source`"), "{refused}");
    }
}
