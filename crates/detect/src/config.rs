//! What users can set about detections, and the form detections ask it in.

use std::collections::BTreeMap;

use event::Timestamp;
use event::policy::{ADMIN_POLICIES, matches_ignore_case};
use serde::{Deserialize, Serialize};

use crate::detection::service;
use crate::text::last_part;
use crate::{Severity, find};

/// The names of groups that are taken for administrators' by default.
pub const ADMIN_GROUPS: &[&str] = &["*admin*", "*poweruser*", "*power-user*", "*superuser*", "*break*glass*"];

const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// What can be set about detections: the section `[detect]` of `trailhound.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectConfig {
    /// Managed policies that count as administrator policies besides the built-in ones: a policy's name, or a whole ARN
    /// for one account's. Case does not matter. Default: none.
    ///
    /// Example: `admin_policies = ["CompanyAdmin", "arn:aws:iam::111122223333:policy/ops/Deployer"]`
    pub admin_policies: Vec<String>,
    /// Groups whose members count as administrators, by name with `*` and `?`; groups of Identity Center by id. Case does
    /// not matter. Default: `["*admin*", "*poweruser*", "*power-user*", "*superuser*", "*break*glass*"]`.
    ///
    /// Example: `admin_groups = ["platform-owners", "*admin*"]`
    pub admin_groups: Vec<String>,
    /// Actions to be told of where no other detection fires, as `service:Action` with `*` and `?`. The service is the
    /// event source up to its first dot. Case does not matter. Default: none.
    ///
    /// Example: `watched_actions = ["iam:*", "kms:ScheduleKeyDeletion", "secretsmanager:GetSecretValue"]`
    pub watched_actions: Vec<String>,
    /// The hours, in UTC, at which nobody is expected to sign in to the console: the first, and the first after them, from
    /// 0 to 23. Empty for none, and so is a span from an hour to itself. Default: none.
    ///
    /// Example: `off_hours = "22-6"`
    pub off_hours: String,
    /// Ids of detections that shall not run. To be silent about *some* findings, suppress those instead: suppressions are
    /// counted and end. Default: none.
    ///
    /// Example: `disabled = ["sso-application-created"]`
    pub disabled: Vec<String>,
    /// Severities by id of the detection, in place of its own. A failed attempt ranks below it. Default: none.
    ///
    /// Example: `severity = { root-api-use = "medium" }`
    pub severity: BTreeMap<String, Severity>,
}

impl Default for DetectConfig {
    fn default() -> Self {
        DetectConfig {
            admin_policies: Vec::new(),
            admin_groups: ADMIN_GROUPS.iter().map(|&pattern| pattern.to_owned()).collect(),
            watched_actions: Vec::new(),
            off_hours: String::new(),
            disabled: Vec::new(),
            severity: BTreeMap::new(),
        }
    }
}

/// What is wrong with a [`DetectConfig`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no detection of that id; [`all`](crate::all) has those there are.
    #[error("detect.{field} names no detection: \"{id}\"")]
    UnknownDetection {
        /// The setting.
        field: &'static str,
        /// What it says.
        id: String,
    },
    /// A watched action is not `service:Action`.
    #[error("detect.watched_actions wants service:Action (such as \"iam:Delete*\"), not \"{0}\"")]
    BadAction(String),
    /// The off-hours are not two hours.
    #[error("detect.off_hours wants two hours from 0 to 23, such as \"22-6\", not \"{0}\"")]
    BadHours(String),
    /// A name or pattern is empty.
    #[error("detect.{0} has an empty entry")]
    Empty(&'static str),
}

impl DetectConfig {
    /// Checks what types alone do not: ids of detections, the shape of patterns.
    ///
    /// # Errors
    /// The first mistake found.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let disabled = self.disabled.iter().map(|id| ("disabled", id));
        let severity = self.severity.keys().map(|id| ("severity", id));
        if let Some((field, id)) = disabled.chain(severity).find(|(_, id)| find(id).is_none()) {
            return Err(ConfigError::UnknownDetection { field, id: id.clone() });
        }
        for (field, entries) in [("admin_policies", &self.admin_policies), ("admin_groups", &self.admin_groups)] {
            if entries.iter().any(|entry| entry.trim().is_empty()) {
                return Err(ConfigError::Empty(field));
            }
        }
        if !self.off_hours.trim().is_empty() && split_hours(&self.off_hours).is_none() {
            return Err(ConfigError::BadHours(self.off_hours.clone()));
        }
        match self.watched_actions.iter().find(|pattern| split_action(pattern).is_none()) {
            Some(pattern) => Err(ConfigError::BadAction(pattern.clone())),
            None => Ok(()),
        }
    }
}

fn split_action(pattern: &str) -> Option<(&str, &str)> {
    pattern.split_once(':').filter(|(service, action)| !service.is_empty() && !action.is_empty())
}

/// The first hour, and the first hour after them.
fn split_hours(span: &str) -> Option<(i64, i64)> {
    let hour = |text: &str| text.trim().parse().ok().filter(|hour| (0..24).contains(hour));
    let (start, end) = span.split_once('-')?;
    Some((hour(start)?, hour(end)?))
}

/// The configuration in the form detections ask it in.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    admin_policies: Vec<String>,
    admin_groups: Vec<String>,
    watched: Vec<(String, String)>,
    off_hours: Option<(i64, i64)>,
}

impl Settings {
    pub(crate) fn of(config: &DetectConfig) -> Settings {
        let built_in = ADMIN_POLICIES.iter().map(|&name| name.to_owned());
        let split =
            |pattern: &String| split_action(pattern).map(|(service, action)| (service.to_owned(), action.to_owned()));
        Settings {
            admin_policies: built_in.chain(config.admin_policies.iter().cloned()).collect(),
            admin_groups: config.admin_groups.clone(),
            watched: config.watched_actions.iter().filter_map(split).collect(),
            off_hours: split_hours(&config.off_hours),
        }
    }

    /// Whether a managed policy, by its ARN or its bare name, is an administrator's.
    pub(crate) fn is_admin_policy(&self, policy: &str) -> bool {
        let name = last_part(policy);
        self.admin_policies.iter().any(|admin| {
            // An entry that is an ARN means that one policy; a name means every policy of the name.
            let wanted = if admin.contains(':') { policy } else { name };
            admin.eq_ignore_ascii_case(wanted)
        })
    }

    /// Whether a group, by its name or id, is taken for administrators'.
    pub(crate) fn is_admin_group(&self, group: &str) -> bool {
        self.admin_groups.iter().any(|pattern| matches_ignore_case(pattern, group))
    }

    /// Whether a time lies within the off-hours.
    pub(crate) fn is_off_hours(&self, time: Timestamp) -> bool {
        let hour = time.micros().div_euclid(MICROS_PER_HOUR) % 24;
        self.off_hours.is_some_and(|(start, end)| match start <= end {
            true => (start..end).contains(&hour),
            // Over midnight.
            false => hour >= start || hour < end,
        })
    }

    /// Whether the user asked to be told of this action.
    pub(crate) fn is_watched(&self, event: &event::Event<'_>) -> bool {
        !self.watched.is_empty()
            && self.watched.iter().any(|(watched_service, action)| {
                matches_ignore_case(watched_service, service(event)) && matches_ignore_case(action, event.name())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_policy_is_known_by_its_last_part_in_every_partition_and_by_a_whole_arn_only_as_that_one() {
        let own = "arn:aws:iam::111122223333:policy/ops/Deployer";
        let config =
            DetectConfig { admin_policies: vec!["CompanyAdmin".to_owned(), own.to_owned()], ..DetectConfig::default() };
        let settings = Settings::of(&config);
        for policy in [
            "arn:aws:iam::aws:policy/AdministratorAccess",
            "arn:aws-cn:iam::aws:policy/AdministratorAccess",
            "arn:aws-us-gov:iam::aws:policy/job-function/PowerUserAccess",
            "arn:aws:iam::111122223333:policy/team/companyadmin",
            "IAMFullAccess",
            own,
        ] {
            assert!(settings.is_admin_policy(policy), "{policy}");
        }
        for policy in [
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
            "arn:aws:iam::aws:policy/AdministratorAccess-Amplify",
            "arn:aws:iam::444455556666:policy/ops/Deployer",
            "",
        ] {
            assert!(!settings.is_admin_policy(policy), "{policy}");
        }
    }

    #[test]
    fn mistakes_in_the_configuration_are_named() {
        let unknown = DetectConfig { disabled: vec!["root-login".to_owned()], ..DetectConfig::default() };
        let expected = ConfigError::UnknownDetection { field: "disabled", id: "root-login".to_owned() };
        assert_eq!(unknown.validate(), Err(expected));

        let unknown = DetectConfig { severity: [("x".to_owned(), Severity::Low)].into(), ..DetectConfig::default() };
        assert!(matches!(unknown.validate(), Err(ConfigError::UnknownDetection { field: "severity", .. })));

        for pattern in ["iam", "iam:", ":CreateUser", ""] {
            let bad = DetectConfig { watched_actions: vec![pattern.to_owned()], ..DetectConfig::default() };
            assert_eq!(bad.validate(), Err(ConfigError::BadAction(pattern.to_owned())));
        }
        for hours in ["22", "22-24", "-1-6", "late-early", "22-6-7"] {
            let bad = DetectConfig { off_hours: hours.to_owned(), ..DetectConfig::default() };
            assert_eq!(bad.validate(), Err(ConfigError::BadHours(hours.to_owned())));
        }
        let empty = DetectConfig { admin_groups: vec![" ".to_owned()], ..DetectConfig::default() };
        assert_eq!(empty.validate(), Err(ConfigError::Empty("admin_groups")));
        assert_eq!(DetectConfig::default().validate(), Ok(()));
    }

    #[test]
    fn off_hours_are_within_a_day_over_midnight_or_none() {
        let hours = |off_hours: &str| -> Vec<i64> {
            let settings = Settings::of(&DetectConfig { off_hours: off_hours.to_owned(), ..DetectConfig::default() });
            let at = |hour: i64| Timestamp::parse(&format!("2026-01-15T{hour:02}:30:00Z")).expect("a time");
            (0..24).filter(|&hour| settings.is_off_hours(at(hour))).collect()
        };
        assert_eq!(hours("22-6"), [0, 1, 2, 3, 4, 5, 22, 23]);
        assert_eq!(hours(" 1 - 3 "), [1, 2]);
        assert_eq!(hours("20-0"), [20, 21, 22, 23]);
        assert!(hours("6-6").is_empty());
        assert!(hours("").is_empty());
    }

    #[test]
    fn an_unknown_setting_is_an_error_and_a_missing_one_takes_its_default() {
        let config: DetectConfig = serde_json::from_str(r#"{"severity": {"root-api-use": "medium"}}"#).expect("valid");
        assert_eq!(config.severity["root-api-use"], Severity::Medium);
        assert_eq!(config.admin_groups, DetectConfig::default().admin_groups);
        let error = serde_json::from_str::<DetectConfig>(r#"{"watched": []}"#).expect_err("unknown field");
        assert!(error.to_string().contains("unknown field `watched`"), "{error}");
    }
}
