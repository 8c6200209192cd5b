//! The configuration: `trailhound.toml`, then `TRAILHOUND_*`, then flags.
//!
//! [`Config`] is the reference: every field has a description, a default and an example. Unknown keys are errors that
//! name the nearest known one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use detect::DetectConfig;
use event::decode::Limits;
use notify::{ChannelConfig, SecretSource};
use pipeline::filter::FilterConfig;
use query::nearest;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::exit::usage;

/// Everything that can be configured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// How logs are read.
    pub(crate) ingest: IngestConfig,
    /// What a stranger's file may cost.
    pub(crate) limits: LimitsConfig,
    /// What is left out of the store. Detections see it all the same.
    pub(crate) filter: FilterConfig,
    /// What the detections look for.
    pub(crate) detect: DetectConfig,
    /// What questions may cost.
    pub(crate) query: QueryConfig,
    /// How AWS is reached.
    pub(crate) aws: AwsConfig,
    /// Where Athena is asked.
    pub(crate) athena: AthenaConfig,
    /// What is collected live.
    pub(crate) collect: CollectConfig,
    /// The daemon.
    pub(crate) run: RunConfig,
    /// Accounts to collect from besides the credentials' own.
    pub(crate) accounts: Vec<AccountConfig>,
    /// Trails to read, by their buckets or by queues.
    pub(crate) trails: Vec<TrailConfig>,
    /// Who is told of alerts.
    pub(crate) notify: Vec<ChannelConfig>,
}

/// How AWS is reached.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AwsConfig {
    /// The profile of the AWS configuration; empty for what the environment says. Default: `""`.
    ///
    /// Example: `profile = "audit"`
    pub(crate) profile: String,
    /// The region that is asked where any will do; empty for what the profile says. Default: `""`.
    ///
    /// Example: `region = "eu-central-1"`
    pub(crate) region: String,
}

/// Where Athena is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AthenaConfig {
    /// The database of the table and the views; `ATHENA_DATABASE` is the same. Default: `"trailhound"`.
    ///
    /// Example: `database = "trails"`
    pub(crate) database: String,
    /// The workgroup; `ATHENA_WORKGROUP` is the same. Default: `"trailhound"`.
    ///
    /// Example: `workgroup = "analysts"`
    pub(crate) workgroup: String,
    /// Where results are written; empty for where the workgroup says. `ATHENA_OUTPUT_LOCATION` is the same. Default: `""`.
    ///
    /// Example: `output_location = "s3://our-results/athena/"`
    pub(crate) output_location: String,
    /// How old an answer to the same question may be, in minutes, to be given again without scanning; 0 for none, 10080 at
    /// most. Default: `0`.
    ///
    /// Example: `reuse_minutes = 60`
    pub(crate) reuse_minutes: u16,
}

impl Default for AthenaConfig {
    fn default() -> Self {
        let name = "trailhound".to_owned();
        AthenaConfig { database: name.clone(), workgroup: name, output_location: String::new(), reuse_minutes: 0 }
    }
}

/// What is collected live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CollectConfig {
    /// Whether the account of the credentials themselves is read. Default: `true`.
    ///
    /// Example: `own_account = false`
    pub(crate) own_account: bool,
    /// The regions; none for those that each account can use. Default: `[]`.
    ///
    /// Example: `regions = ["us-east-1", "eu-central-1"]`
    pub(crate) regions: Vec<String>,
    /// The home region of Identity Center. Default: `""`.
    ///
    /// Example: `sso_region = "eu-central-1"`
    pub(crate) sso_region: String,
    /// Event sources besides the identity ones: services, or the preset `ai`. Default: `[]`.
    ///
    /// Example: `sources = ["ai", "kms.amazonaws.com"]`
    pub(crate) sources: Vec<String>,
    /// The minutes in which an event may still appear; they are read again. Default: `15`.
    ///
    /// Example: `settle_minutes = 30`
    pub(crate) settle_minutes: u16,
    /// From which age on, in minutes, an event that was missed counts as late. Default: `30`.
    ///
    /// Example: `late_minutes = 60`
    pub(crate) late_minutes: u16,
    /// How many accounts and regions are read at once. Default: `8`.
    ///
    /// Example: `max_workers = 16`
    pub(crate) max_workers: u16,
    /// Requests a second to one account in one region, CloudTrail's own limit; 0 for no limit. Default: `2`.
    ///
    /// Example: `calls_per_second = 1`
    pub(crate) calls_per_second: u16,
    /// Whether each log file of a trail is checked against the signed digest that names it. Default: `false`.
    ///
    /// Example: `verify = true`
    pub(crate) verify: bool,
    /// The file of CloudTrail's public keys, from `verify keys export`; without one ListPublicKeys is asked. Default: `""`.
    ///
    /// Example: `verify_keys = "/etc/trailhound/public-keys.json"`
    pub(crate) verify_keys: String,
}

impl Default for CollectConfig {
    fn default() -> Self {
        CollectConfig {
            own_account: true,
            regions: Vec::new(),
            sso_region: String::new(),
            sources: Vec::new(),
            settle_minutes: 15,
            late_minutes: 30,
            max_workers: 8,
            calls_per_second: 2,
            verify: false,
            verify_keys: String::new(),
        }
    }
}

/// The daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RunConfig {
    /// Seconds from the beginning of one pass to the next, give or take a tenth. Default: `60`.
    ///
    /// Example: `every_seconds = 300`
    pub(crate) every_seconds: u32,
    /// Minutes after which regions and accounts are looked up again. Default: `60`.
    ///
    /// Example: `discover_minutes = 1440`
    pub(crate) discover_minutes: u32,
    /// Where `/healthz` and `/metrics` are served; empty for nowhere. Default: `"127.0.0.1:9477"`.
    ///
    /// Example: `listen = ""`
    pub(crate) listen: String,
    /// Minutes without a complete pass after which that is an alert. Default: `60`.
    ///
    /// Example: `pass_within_minutes = 15`
    pub(crate) pass_within_minutes: u32,
}

impl Default for RunConfig {
    fn default() -> Self {
        RunConfig {
            every_seconds: 60,
            discover_minutes: 60,
            listen: "127.0.0.1:9477".to_owned(),
            pass_within_minutes: 60,
        }
    }
}

/// A trail: its files as they lie in a bucket, or as a queue tells of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrailConfig {
    /// The bucket: listed where there is no queue; else the one that messages may name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bucket: Option<String>,
    /// The region of the bucket, where it is another than the credentials'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// What stands before `AWSLogs/`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) prefix: String,
    /// The address of the SQS queue that S3, SNS or EventBridge fills.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<String>,
    /// How many days back are listed.
    #[serde(default = "trail_days")]
    pub(crate) days: u16,
    /// Only these accounts; none for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) accounts: Vec<String>,
    /// Only these regions; none for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) regions: Vec<String>,
    /// The ARN of the role to assume for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    /// What the role's trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) external_id: Option<SecretSource>,
}

/// CloudTrail tries for 30 days to deliver a file.
fn trail_days() -> u16 {
    35
}

/// Accounts to collect from: one by its role, or all of the organisation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountConfig {
    /// The ARN of the role to assume there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    /// The name of the role to assume in every account of the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) organization_role: Option<String>,
    /// What the role's trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) external_id: Option<SecretSource>,
}

/// What questions may cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QueryConfig {
    /// How many threads answer; 0 for one for each processor. Default: `0`.
    ///
    /// Example: `threads = 4`
    pub(crate) threads: u16,
    /// Bytes that sorting and grouping may hold in memory; beyond it they use the disk. Default: `2147483648` (2 GiB).
    ///
    /// Example: `memory = 8589934592`
    pub(crate) memory: u64,
}

impl Default for QueryConfig {
    fn default() -> Self {
        QueryConfig { threads: 0, memory: 2 << 30 }
    }
}

/// How logs are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct IngestConfig {
    /// How many threads read; 0 for one for each processor. Default: `0`.
    ///
    /// Example: `threads = 4`
    pub(crate) threads: u16,
    /// How many seconds events may wait for a commit to the lake. Default: `15`.
    ///
    /// Example: `commit_seconds = 30`
    pub(crate) commit_seconds: u16,
}

impl Default for IngestConfig {
    fn default() -> Self {
        IngestConfig { threads: 0, commit_seconds: 15 }
    }
}

/// What a stranger's file may cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsConfig {
    /// Bytes a file may inflate to; reading stops there. Default: `1073741824` (1 GiB).
    ///
    /// Example: `max_inflated = 4294967296`
    pub(crate) max_inflated: u64,
    /// Bytes of one record. Default: `16777216` (16 MiB).
    ///
    /// Example: `max_record = 1048576`
    pub(crate) max_record: u32,
    /// Levels of nesting in one record. Default: `100`.
    ///
    /// Example: `max_depth = 60`
    pub(crate) max_depth: u16,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let Limits { inflated, record, depth } = Limits::default();
        LimitsConfig {
            max_inflated: inflated,
            max_record: u32::try_from(record).unwrap_or(u32::MAX),
            max_depth: u16::try_from(depth).unwrap_or(u16::MAX),
        }
    }
}

impl LimitsConfig {
    pub(crate) fn limits(&self) -> Limits {
        // A parser follows 128 levels; more would be stored and never be read again.
        let depth = usize::from(self.max_depth).min(120);
        Limits { inflated: self.max_inflated, record: self.max_record as usize, depth }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Provenance {
    Default,
    File(PathBuf),
    Environment(String),
}

impl std::fmt::Display for Provenance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Provenance::Default => f.write_str("default"),
            Provenance::File(path) => write!(f, "{}", path.display()),
            Provenance::Environment(name) => write!(f, "${name}"),
        }
    }
}

/// The configuration in force, and where each value comes from.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) provenance: BTreeMap<String, Provenance>,
}

/// Variables that are no configuration keys: they have flags of their own.
const OTHER_VARIABLES: [&str; 7] = [
    "TRAILHOUND_HOME",
    "TRAILHOUND_CONFIG",
    "TRAILHOUND_NOW",
    "TRAILHOUND_LOG",
    "TRAILHOUND_PYTHON",
    "TRAILHOUND_EMULATOR",
    "TRAILHOUND_PSQL",
];
const PREFIX: &str = "TRAILHOUND_";
/// Variables of other programs that say the same; ours go before them.
const CLASSIC_VARIABLES: [(&str, &str); 3] = [
    ("ATHENA_DATABASE", "athena.database"),
    ("ATHENA_WORKGROUP", "athena.workgroup"),
    ("ATHENA_OUTPUT_LOCATION", "athena.output_location"),
];

impl Loaded {
    /// Reads the file, if it is there, and lays the environment over it.
    pub(crate) fn load(
        file: &Path,
        required: bool,
        environment: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Loaded> {
        let known = known_keys()?;
        let mut provenance: BTreeMap<String, Provenance> =
            known.keys().map(|key| (key.clone(), Provenance::Default)).collect();
        let mut table = match std::fs::read_to_string(file) {
            Ok(text) => text.parse::<Table>().map_err(|error| usage(not_toml(file, &text, &error)))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => Table::new(),
            Err(error) => return Err(usage(format!("{} cannot be read: {error}", file.display()))),
        };
        for key in leaves(&table, &known) {
            check(&key, &known).map_err(|problem| usage(format!("{}: {problem}", file.display())))?;
            provenance.insert(key, Provenance::File(file.to_owned()));
        }
        let environment: Vec<(String, String)> = environment.collect();
        for (name, text) in &environment {
            let classic = CLASSIC_VARIABLES.iter().find(|(variable, _)| variable == name);
            if let Some((_, key)) = classic.filter(|_| !text.is_empty()) {
                set(&mut table, key, Value::String(text.clone()));
                provenance.insert((*key).to_owned(), Provenance::Environment(name.clone()));
            }
        }
        for (name, text) in environment {
            if !name.starts_with(PREFIX) || OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let key = key_of_variable(&name, &known)?;
            let value = value_of_text(&name, &text, &known[&key])?;
            set(&mut table, &key, value);
            provenance.insert(key, Provenance::Environment(name));
        }
        let config = Config::deserialize(Value::Table(table.clone())).map_err(|error| {
            // Which key it is the error does not say, so each is tried alone.
            let alone = |key: &str| {
                let (section, field) = key.split_once('.')?;
                let value = table.get(section)?.get(field)?.clone();
                let mut one = Table::new();
                set(&mut one, key, value);
                Config::deserialize(Value::Table(one)).err()
            };
            match provenance.iter().find_map(|(key, from)| Some((key, from, alone(key)?))) {
                Some((key, from, error)) => usage(format!("{from}: {key}: {}", error.message())),
                None => usage(format!("{}: {}", file.display(), error.message())),
            }
        })?;
        Ok(Loaded { config, provenance })
    }

    /// Every key with its value, as TOML writes it, and where it comes from.
    pub(crate) fn values(&self) -> anyhow::Result<Vec<(String, Value, Provenance)>> {
        let table = Table::try_from(&self.config)?;
        let of =
            |key: &String| key.split('.').try_fold(Value::Table(table.clone()), |value, part| value.get(part).cloned());
        Ok(self.provenance.iter().filter_map(|(key, from)| Some((key.clone(), of(key)?, from.clone()))).collect())
    }
}

/// What is wrong with a file that is no TOML. The line itself is not shown: a secret may stand in it.
fn not_toml(file: &Path, text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!(", line {}", before.matches('\n').count() + 1)).unwrap_or_default();
    format!("{}{line}: {}", file.display(), error.message())
}

/// The keys there are, with their defaults.
fn known_keys() -> anyhow::Result<BTreeMap<String, Value>> {
    let mut keys = BTreeMap::new();
    for (section, fields) in Table::try_from(Config::default())? {
        match fields {
            Value::Table(fields) => {
                keys.extend(fields.into_iter().map(|(field, value)| (format!("{section}.{field}"), value)));
            }
            tables => {
                keys.insert(section, tables);
            }
        }
    }
    Ok(keys)
}

/// The keys that a file sets: `section.field`, and whatever else stands in it.
fn leaves(table: &Table, known: &BTreeMap<String, Value>) -> Vec<String> {
    let mut keys = Vec::new();
    for (section, fields) in table {
        match fields {
            Value::Table(fields) if known.keys().any(|key| key.starts_with(&format!("{section}."))) => {
                keys.extend(fields.keys().map(|field| format!("{section}.{field}")));
            }
            _ => keys.push(section.clone()),
        }
    }
    keys
}

fn check(key: &str, known: &BTreeMap<String, Value>) -> Result<(), String> {
    if known.contains_key(key) {
        return Ok(());
    }
    let mut problem = format!("unknown key {key:?}");
    let sections = known.keys().filter_map(|known| known.split('.').next());
    if let Some(near) = nearest(key, known.keys().map(String::as_str).chain(sections)) {
        problem.push_str(&format!("; did you mean {near:?}?"));
    }
    Err(problem)
}

/// `TRAILHOUND_FILTER_SERVICE_EVENTS` is `filter.service_events`.
fn key_of_variable(name: &str, known: &BTreeMap<String, Value>) -> anyhow::Result<String> {
    let variable = |key: &str| format!("{PREFIX}{}", key.replace('.', "_").to_uppercase());
    // Lists of tables can be written in the file alone.
    let known: BTreeMap<&String, &Value> = known.iter().filter(|(key, _)| key.contains('.')).collect();
    if let Some(key) = known.keys().find(|key| variable(key) == name) {
        return Ok((*key).clone());
    }
    let variables: Vec<String> = known.keys().map(|key| variable(key)).collect();
    let mut problem = format!("unknown variable {name}");
    if let Some(near) = nearest(name, variables.iter().map(String::as_str).chain(OTHER_VARIABLES)) {
        problem.push_str(&format!("; did you mean {near}?"));
    }
    Err(usage(problem))
}

/// Reads a variable as the type its key has; lists are separated by commas.
fn value_of_text(name: &str, text: &str, default: &Value) -> anyhow::Result<Value> {
    let wrong = |expected: &str| usage(format!("{name}={text:?} is not {expected}"));
    Ok(match default {
        Value::Boolean(_) => Value::Boolean(match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => return Err(wrong("true or false")),
        }),
        Value::Integer(_) => Value::Integer(text.trim().parse().map_err(|_| wrong("a whole number"))?),
        Value::Array(_) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
        }
        Value::Table(_) => {
            // `{ root-api-use = "medium" }`, as in the file.
            let table: Table = format!("value = {text}").parse().map_err(|_| wrong("a TOML table"))?;
            table.get("value").cloned().ok_or_else(|| wrong("a TOML table"))?
        }
        _ => Value::String(text.to_owned()),
    })
}

fn set(table: &mut Table, key: &str, value: Value) {
    let (section, field) = key.split_once('.').unwrap_or((key, ""));
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(fields) = section {
        fields.insert(field.to_owned(), value);
    }
}

/// The reference of the configuration, as a file in which everything is commented out.
pub(crate) fn template() -> String {
    format!("{}\n{}", reference::TEMPLATE, notify::TEMPLATE)
}

mod reference {
    /// Kept true by a test: it names every key, with its default.
    pub(super) const TEMPLATE: &str = include_str!("trailhound.toml");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> anyhow::Result<Loaded> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("trailhound.toml");
        std::fs::write(&file, text).expect("written");
        let environment = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Loaded::load(&file, true, environment)
    }

    fn problem(text: &str, environment: &[(&str, &str)]) -> String {
        load(text, environment).expect_err("a mistake").to_string()
    }

    #[test]
    fn the_environment_goes_before_the_file_and_each_says_so() {
        let loaded = load(
            "[filter]\nservice_events = true\nroles = ['a']\n",
            &[("TRAILHOUND_FILTER_ROLES", "b, c"), ("TRAILHOUND_HOME", "x")],
        )
        .expect("valid");
        assert!(loaded.config.filter.service_events);
        assert_eq!(loaded.config.filter.roles, ["b", "c"]);
        assert!(matches!(loaded.provenance["filter.service_events"], Provenance::File(_)));
        assert_eq!(loaded.provenance["filter.roles"], Provenance::Environment("TRAILHOUND_FILTER_ROLES".to_owned()));
        assert_eq!(loaded.provenance["ingest.threads"], Provenance::Default);
        assert_eq!(loaded.values().expect("values").len(), loaded.provenance.len());
    }

    #[test]
    fn the_variables_of_the_classic_tracker_are_read_and_ours_go_before_them() {
        let classic = [
            ("TRAILHOUND_ATHENA_WORKGROUP", "ours"),
            ("ATHENA_WORKGROUP", "theirs"),
            ("ATHENA_DATABASE", "trails"),
            ("ATHENA_OUTPUT_LOCATION", ""),
        ];
        let loaded = load("[athena]\ndatabase = 'file'\noutput_location = 's3://r/'\n", &classic).expect("valid");
        let AthenaConfig { database, workgroup, output_location, .. } = loaded.config.athena;
        assert_eq!((database.as_str(), workgroup.as_str(), output_location.as_str()), ("trails", "ours", "s3://r/"));
        assert_eq!(loaded.provenance["athena.database"], Provenance::Environment("ATHENA_DATABASE".to_owned()));
        let ours = Provenance::Environment("TRAILHOUND_ATHENA_WORKGROUP".to_owned());
        assert_eq!(loaded.provenance["athena.workgroup"], ours);
    }

    #[test]
    fn a_mistake_is_named_with_the_nearest_right_thing() {
        let text = problem("[filter]\nservice_event = true\n", &[]);
        assert!(
            text.contains("unknown key \"filter.service_event\"; did you mean \"filter.service_events\"?"),
            "{text}"
        );
        let text = problem("[filtre]\nroles = []\n", &[]);
        assert!(text.contains("did you mean \"filter\"?"), "{text}");
        let text = problem("", &[("TRAILHOUND_FILTER_ROLE", "x")]);
        assert!(text.contains("did you mean TRAILHOUND_FILTER_ROLES?"), "{text}");
        let text = problem("[ingest]\nthreads = 'many'\n", &[]);
        assert!(text.contains("invalid type: string \"many\""), "{text}");
        let text = problem("", &[("TRAILHOUND_INGEST_THREADS", "many")]);
        assert!(text.contains("is not a whole number"), "{text}");
        assert!(problem("filter = [", &[]).contains("trailhound.toml"));
    }

    #[test]
    fn the_template_names_every_key_with_its_default() {
        let is_value = |line: &&str| {
            line.split(" = ")
                .next()
                .is_some_and(|key| key.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()))
        };
        let uncommented: String = reference::TEMPLATE
            .lines()
            .map(|line| line.strip_prefix("# ").filter(is_value).unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        let table: Table = uncommented.parse().expect("the template is TOML");
        let keys = leaves(&table, &known_keys().expect("keys"));
        let of_file = known_keys().expect("keys").into_keys().filter(|key| key.contains('.'));
        assert_eq!(keys.len(), of_file.count(), "{keys:?}");
        assert_eq!(Config::deserialize(Value::Table(table)).expect("valid"), Config::default());
    }
}
