//! What a function is told by its environment. The names are those that deployments of the classic tracker have set.

use std::collections::BTreeSet;
use std::time::Duration;

use detect::{ConfigError, DetectConfig};
use lake::Codec;
use pipeline::collect::sources::{IDENTITY_CENTER, expand};
use pipeline::filter::FilterConfig;

/// The default of how many accounts and regions are read at once, and the most.
const WORKERS: (usize, usize) = (8, 32);

/// The environment of a function, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `EVENTS_TABLE_NAME`.
    pub events_table: String,
    /// `CONTROL_TABLE_NAME`.
    pub control_table: String,
    /// `ALERTS_TABLE_NAME`.
    pub alerts_table: String,
    /// `ALERTS_SNS_TOPIC_ARN`: where alerts are sent; nowhere without it, or with `ALERTS_ENABLED=false`.
    pub topic: Option<String>,
    /// `AWS_ACCOUNT_ID`: the account that keys of streams do not name.
    pub account: Option<String>,
    /// `PROCESS_IAM_EVENTS`, `PROCESS_STS_EVENTS`, `PROCESS_SIGNIN_EVENTS`, `PROCESS_SSO_EVENTS`: the sources that are not
    /// read.
    pub left_out: Vec<&'static str>,
    /// `EXTRA_SOURCES`: services that are read beside them, such as `bedrock,kms`.
    pub extra_sources: Vec<String>,
    /// `REGIONS`: the only regions that are read.
    pub regions: Vec<String>,
    /// `SSO_REGION`: the home region of Identity Center, whose events are read there whatever `REGIONS` says.
    pub sso_region: Option<String>,
    /// `MEMBER_ACCOUNTS`, or `organization` for all of them.
    pub member_accounts: Vec<String>,
    /// `MEMBER_ROLE_NAME`: the role that is assumed in member accounts.
    pub member_role: Option<String>,
    /// `MEMBER_EXTERNAL_ID`: what its trust policy asks for.
    pub member_external_id: Option<String>,
    /// `FILTER_AWS_SERVICE_EVENTS` and `FILTERED_ROLES`.
    pub filter: FilterConfig,
    /// `WATCHED_ACTIONS`, as `service:Action` or `Action` alone; `OFF_HOURS_START` and `OFF_HOURS_END`, in UTC.
    pub detect: DetectConfig,
    /// `MAX_WORKERS`.
    pub workers: usize,
    /// `CALLS_PER_SECOND`: for one account in one region; 0 for no limit.
    pub calls_per_second: Option<f64>,
    /// `RETENTION_DAYS`: how long items are kept; for ever where it is 0 or not set.
    pub retention: Option<Duration>,
    /// `STACK_NAME`: the dimension of metrics.
    pub stack: String,
    /// What the exporter does.
    pub export: ExportSettings,
}

/// What the exporter does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSettings {
    /// `ANALYTICS_BUCKET_NAME`: where it exports to.
    pub bucket: Option<String>,
    /// `LOGS_BUCKET_NAME`: the trail's bucket, for exports straight from its files.
    pub logs_bucket: Option<String>,
    /// `EXPORT_DAYS_BACK`: how many whole days before today are looked at each time, 1 to 7.
    pub days_back: usize,
    /// `EXPORT_LAYOUT`.
    pub layout: Layout,
    /// `EXPORT_COMPRESSION`: `zstd` or `snappy`.
    pub codec: Codec,
    /// `PARTITION_BY_REGION`: whether the classic layout has a folder for each region.
    pub by_region: bool,
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `delta`: a lake.
    Delta,
    /// `classic`: plain Parquet in Hive folders.
    Classic,
}

/// A variable that says what it cannot mean.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}={value:?}: {reason}")]
pub struct BadVariable {
    name: &'static str,
    value: String,
    reason: String,
}

impl Settings {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// [`BadVariable`].
    pub fn read() -> Result<Settings, BadVariable> {
        Settings::of(&|name| std::env::var(name).ok())
    }

    /// Reads an environment. What is empty is as if it were not set.
    ///
    /// # Errors
    /// [`BadVariable`].
    pub fn of(environment: &dyn Fn(&str) -> Option<String>) -> Result<Settings, BadVariable> {
        let variables = Variables(environment);
        let sources = [
            ("PROCESS_IAM_EVENTS", "iam"),
            ("PROCESS_STS_EVENTS", "sts"),
            ("PROCESS_SIGNIN_EVENTS", "signin"),
            ("PROCESS_SSO_EVENTS", "sso"),
        ];
        let mut left_out = Vec::new();
        for (name, source) in sources {
            if !variables.switch(name, true)? {
                left_out.push(source);
            }
        }
        let topic = variables.text("ALERTS_SNS_TOPIC_ARN");
        let watched = variables.list("WATCHED_ACTIONS").into_iter();
        let watched = watched.map(|action| if action.contains(':') { action } else { format!("*:{action}") });
        let start = variables.number("OFF_HOURS_START", 0..=23)?;
        let off_hours = match (start, variables.number("OFF_HOURS_END", 0..=23)?) {
            (Some(start), Some(end)) => format!("{start}-{end}"),
            (None, None) => String::new(),
            (Some(_), None) => return Err(variables.bad("OFF_HOURS_START", "OFF_HOURS_END is not set".to_owned())),
            (None, Some(_)) => return Err(variables.bad("OFF_HOURS_END", "OFF_HOURS_START is not set".to_owned())),
        };
        let detect = DetectConfig { watched_actions: watched.collect(), off_hours, ..DetectConfig::default() };
        detect.validate().map_err(|error| {
            let name = if matches!(error, ConfigError::BadHours(_)) { "OFF_HOURS_START" } else { "WATCHED_ACTIONS" };
            variables.bad(name, error.to_string())
        })?;
        let days = variables.number("RETENTION_DAYS", 0..=36_500)?.unwrap_or(0);
        let stack = variables.text("STACK_NAME").unwrap_or_else(|| "trailhound".to_owned());
        let table = |name, table| variables.text(name).unwrap_or_else(|| format!("{stack}-{table}"));
        Ok(Settings {
            events_table: table("EVENTS_TABLE_NAME", "events"),
            control_table: table("CONTROL_TABLE_NAME", "control"),
            alerts_table: table("ALERTS_TABLE_NAME", "alerts"),
            topic: if variables.switch("ALERTS_ENABLED", true)? { topic } else { None },
            account: variables.text("AWS_ACCOUNT_ID"),
            left_out,
            extra_sources: variables.list("EXTRA_SOURCES"),
            regions: variables.list("REGIONS"),
            sso_region: variables.text("SSO_REGION"),
            member_accounts: variables.list("MEMBER_ACCOUNTS"),
            member_role: variables.text("MEMBER_ROLE_NAME"),
            member_external_id: variables.text("MEMBER_EXTERNAL_ID"),
            filter: FilterConfig {
                sources: Vec::new(),
                service_events: variables.switch("FILTER_AWS_SERVICE_EVENTS", true)?,
                roles: variables.list("FILTERED_ROLES"),
            },
            detect,
            workers: variables.number("MAX_WORKERS", 1..=WORKERS.1)?.unwrap_or(WORKERS.0),
            calls_per_second: Some(variables.number("CALLS_PER_SECOND", 0..=100)?.unwrap_or(2) as f64)
                .filter(|&rate| rate > 0.0),
            retention: (days > 0).then(|| Duration::from_secs(days as u64 * 86_400)),
            stack,
            export: ExportSettings {
                bucket: variables.text("ANALYTICS_BUCKET_NAME"),
                logs_bucket: variables.text("LOGS_BUCKET_NAME"),
                days_back: variables.number("EXPORT_DAYS_BACK", 1..=7)?.unwrap_or(1),
                layout: variables.one_of("EXPORT_LAYOUT", &[("delta", Layout::Delta), ("classic", Layout::Classic)])?,
                codec: variables.one_of("EXPORT_COMPRESSION", &[("zstd", Codec::Zstd), ("snappy", Codec::Snappy)])?,
                by_region: variables.switch("PARTITION_BY_REGION", true)?,
            },
        })
    }
}

/// A part of a trail's files, as the tracker would have collected it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailPart {
    /// The regions whose files are read; all where there are none.
    pub regions: BTreeSet<String>,
    /// What of them is kept.
    pub filter: FilterConfig,
}

impl Settings {
    /// What of a trail's files is read and kept: what the tracker would have collected. `global` is the region that services
    /// without a region are recorded in, which is always read.
    ///
    /// # Errors
    /// [`BadVariable`]: every source is left out.
    pub fn trail_parts(&self, global: &str) -> Result<Vec<TrailPart>, BadVariable> {
        let filter = self.trail_filter()?;
        if self.regions.is_empty() {
            return Ok(vec![TrailPart { regions: BTreeSet::new(), filter }]);
        }
        let regions: BTreeSet<String> = self.regions.iter().cloned().chain([global.to_owned()]).collect();
        let home = self.sso_region.clone().filter(|home| !regions.contains(home));
        let sources: Vec<String> = if self.left_out.contains(&"sso") {
            let asked_for = self.extra_sources.iter().flat_map(|source| expand(source));
            asked_for.filter(|source| IDENTITY_CENTER.contains(&source.as_str())).collect()
        } else {
            vec!["sso".to_owned()]
        };
        let of_home = home.filter(|_| !sources.is_empty()).map(|home| {
            let filter = FilterConfig { sources, ..self.filter.clone() };
            TrailPart { regions: BTreeSet::from([home]), filter }
        });
        Ok(std::iter::once(TrailPart { regions, filter }).chain(of_home).collect())
    }

    /// The sources that the tracker reads, and what it leaves out of them.
    fn trail_filter(&self) -> Result<FilterConfig, BadVariable> {
        // As the tracker has it: the events of organizations are IAM's.
        let identity = [("iam", "iam"), ("organizations", "iam"), ("sts", "sts"), ("signin", "signin"), ("sso", "sso")];
        let identity = identity.into_iter().filter(|(_, switch)| !self.left_out.contains(switch));
        let identity = identity.map(|(source, _)| source.to_owned());
        let sources: Vec<String> =
            identity.chain(self.extra_sources.iter().flat_map(|source| expand(source))).collect();
        if sources.is_empty() {
            let reason = "with it, every source is left out".to_owned();
            return Err(BadVariable { name: "PROCESS_SSO_EVENTS", value: "false".to_owned(), reason });
        }
        Ok(FilterConfig { sources, ..self.filter.clone() })
    }
}

struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    }

    fn switch(&self, name: &'static str, otherwise: bool) -> Result<bool, BadVariable> {
        let Some(value) = self.text(name) else { return Ok(otherwise) };
        match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(self.bad(name, "it is neither true nor false".to_owned())),
        }
    }

    fn number(&self, name: &'static str, range: std::ops::RangeInclusive<usize>) -> Result<Option<usize>, BadVariable> {
        let Some(value) = self.text(name) else { return Ok(None) };
        let number = value.parse().ok().filter(|number| range.contains(number));
        let wrong = || self.bad(name, format!("it is no number from {} to {}", range.start(), range.end()));
        number.ok_or_else(wrong).map(Some)
    }

    /// One of some values by their names; the first where nothing is said.
    fn one_of<T: Copy>(&self, name: &'static str, values: &[(&str, T)]) -> Result<T, BadVariable> {
        let text = self.text(name).map(|text| text.to_ascii_lowercase());
        let known = values.iter().find(|(known, _)| text.as_deref().is_none_or(|text| text == *known));
        let names = || values.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" nor ");
        known.map(|(_, value)| *value).ok_or_else(|| self.bad(name, format!("it is neither {}", names())))
    }

    fn bad(&self, name: &'static str, reason: String) -> BadVariable {
        BadVariable { name, value: self.text(name).unwrap_or_default(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Settings, BadVariable> {
        Settings::of(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_empty_environment_means_the_defaults() {
        let settings = of(&[("FILTERED_ROLES", "")]).unwrap();
        assert_eq!((settings.workers, settings.retention, settings.topic), (8, None, None));
        assert_eq!(settings.events_table, "trailhound-events");
        assert!(settings.filter.service_events && settings.filter.roles.is_empty() && settings.left_out.is_empty());
    }

    #[test]
    fn the_classic_variables_are_honoured() {
        let settings = of(&[
            ("EVENTS_TABLE_NAME", "a"),
            ("CONTROL_TABLE_NAME", "b"),
            ("ALERTS_TABLE_NAME", "c"),
            ("ALERTS_SNS_TOPIC_ARN", "arn:aws:sns:us-east-1:111122223333:t"),
            ("PROCESS_STS_EVENTS", "False"),
            ("PROCESS_SSO_EVENTS", "true"),
            ("SSO_REGION", "eu-west-1"),
            ("FILTER_AWS_SERVICE_EVENTS", "false"),
            ("FILTERED_ROLES", "terraform-*, deploy"),
            ("MAX_WORKERS", "32"),
            ("WATCHED_ACTIONS", "CreateUser,kms:Schedule*"),
            ("OFF_HOURS_START", "22"),
            ("OFF_HOURS_END", "6"),
            ("RETENTION_DAYS", "90"),
        ])
        .unwrap();
        assert_eq!((&*settings.events_table, &*settings.control_table, &*settings.alerts_table), ("a", "b", "c"));
        assert_eq!(settings.left_out, ["sts"]);
        assert_eq!(settings.filter.roles, ["terraform-*", "deploy"]);
        assert_eq!(settings.detect.watched_actions, ["*:CreateUser", "kms:Schedule*"]);
        assert_eq!(settings.detect.off_hours, "22-6");
        assert_eq!((settings.workers, settings.retention), (32, Some(Duration::from_secs(90 * 86_400))));
        assert!(settings.topic.is_some() && !settings.filter.service_events);
        let silent = of(&[("ALERTS_SNS_TOPIC_ARN", "arn"), ("ALERTS_ENABLED", "no")]).unwrap();
        assert_eq!(silent.topic, None);
    }

    #[test]
    fn an_export_is_a_lake_by_default() {
        let export = |variables: &[(&str, &str)]| of(variables).unwrap().export;
        let ExportSettings { bucket, logs_bucket, days_back, layout, codec, by_region } = export(&[]);
        assert_eq!(logs_bucket, None);
        assert_eq!((bucket, days_back, layout, codec, by_region), (None, 1, Layout::Delta, Codec::Zstd, true));
        let classic = export(&[
            ("ANALYTICS_BUCKET_NAME", "b"),
            ("EXPORT_DAYS_BACK", "7"),
            ("EXPORT_LAYOUT", "classic"),
            ("EXPORT_COMPRESSION", "Snappy"),
            ("PARTITION_BY_REGION", "false"),
            ("LOGS_BUCKET_NAME", "l"),
        ]);
        let ExportSettings { bucket, logs_bucket, days_back, layout, codec, by_region } = classic;
        assert_eq!(logs_bucket.as_deref(), Some("l"));
        assert_eq!(
            (bucket.as_deref(), days_back, layout, codec, by_region),
            (Some("b"), 7, Layout::Classic, Codec::Snappy, false)
        );
    }

    #[test]
    fn of_a_trail_what_the_tracker_reads_is_kept() {
        let filter = |variables: &[(&str, &str)]| of(variables).unwrap().trail_filter();
        assert_eq!(filter(&[]).unwrap().sources, ["iam", "organizations", "sts", "signin", "sso"]);
        let fewer = [("PROCESS_IAM_EVENTS", "false"), ("EXTRA_SOURCES", "kms"), ("FILTERED_ROLES", "deploy")];
        let fewer = filter(&fewer).unwrap();
        assert_eq!(fewer.sources, ["sts", "signin", "sso", "kms.amazonaws.com"]);
        assert_eq!((fewer.roles, fewer.service_events), (vec!["deploy".to_owned()], true));
        let alone = [("PROCESS_IAM_EVENTS", "false"), ("EXTRA_SOURCES", "organizations")];
        assert_eq!(filter(&alone).unwrap().sources, ["sts", "signin", "sso", "organizations.amazonaws.com"]);
        let none = ["PROCESS_IAM_EVENTS", "PROCESS_STS_EVENTS", "PROCESS_SIGNIN_EVENTS", "PROCESS_SSO_EVENTS"];
        assert!(filter(&none.map(|name| (name, "false"))).is_err());
    }

    #[test]
    fn of_a_trail_the_regions_that_the_tracker_reads_are_read() {
        let parts = |variables: &[(&str, &str)]| -> Vec<(String, Vec<String>)> {
            let parts = of(variables).unwrap().trail_parts("us-east-1").unwrap().into_iter();
            parts.map(|part| (Vec::from_iter(part.regions).join(" "), part.filter.sources)).collect()
        };
        let all = || ["iam", "organizations", "sts", "signin", "sso"].map(str::to_owned).to_vec();
        assert_eq!(parts(&[("SSO_REGION", "eu-west-1")]), [(String::new(), all())], "every region");
        let some = ("REGIONS", "eu-west-1, eu-central-1");
        let regions = || "eu-central-1 eu-west-1 us-east-1".to_owned();
        assert_eq!(parts(&[some]), [(regions(), all())]);
        assert_eq!(parts(&[some, ("SSO_REGION", "eu-west-1")]), [(regions(), all())]);
        let elsewhere = ("SSO_REGION", "ap-south-1");
        let home = ("ap-south-1".to_owned(), vec!["sso".to_owned()]);
        assert_eq!(parts(&[some, elsewhere]), [(regions(), all()), home]);
        let off = ("PROCESS_SSO_EVENTS", "false");
        assert_eq!(parts(&[some, elsewhere, off]).len(), 1);
        let asked_for = parts(&[some, elsewhere, off, ("EXTRA_SOURCES", "kms, identitystore")]);
        assert_eq!(asked_for[1], ("ap-south-1".to_owned(), vec!["identitystore.amazonaws.com".to_owned()]));
    }

    #[test]
    fn what_a_variable_cannot_mean_is_said() {
        for (name, value) in [
            ("MAX_WORKERS", "33"),
            ("ALERTS_ENABLED", "maybe"),
            ("WATCHED_ACTIONS", "iam:"),
            ("OFF_HOURS_START", "24"),
            ("OFF_HOURS_START", "22"),
            ("OFF_HOURS_END", "6"),
            ("EXPORT_DAYS_BACK", "8"),
            ("EXPORT_LAYOUT", "iceberg"),
            ("EXPORT_COMPRESSION", "gzip"),
        ] {
            let error = of(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}={value:?}: ")), "{error}");
        }
    }
}
