//! The configuration: `trailhound.toml`, then `TRAILHOUND_*`, then flags.
//!
//! [`Config`] is the reference: every field has a description, a default and an example. Unknown keys are errors that
//! name the nearest known one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use detect::DetectConfig;
use event::decode::Limits;
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
const OTHER_VARIABLES: [&str; 6] = [
    "TRAILHOUND_HOME",
    "TRAILHOUND_CONFIG",
    "TRAILHOUND_NOW",
    "TRAILHOUND_LOG",
    "TRAILHOUND_PYTHON",
    "TRAILHOUND_PSQL",
];
const PREFIX: &str = "TRAILHOUND_";

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
            Ok(text) => text.parse::<Table>().map_err(|error| usage(format!("{}: {error}", file.display())))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => Table::new(),
            Err(error) => return Err(usage(format!("{} cannot be read: {error}", file.display()))),
        };
        for key in leaves(&table, &known) {
            check(&key, &known).map_err(|problem| usage(format!("{}: {problem}", file.display())))?;
            provenance.insert(key, Provenance::File(file.to_owned()));
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

/// The keys there are, with their defaults.
fn known_keys() -> anyhow::Result<BTreeMap<String, Value>> {
    let mut keys = BTreeMap::new();
    for (section, fields) in Table::try_from(Config::default())? {
        if let Value::Table(fields) = fields {
            keys.extend(fields.into_iter().map(|(field, value)| (format!("{section}.{field}"), value)));
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
    if let Some(key) = known.keys().find(|key| variable(key) == name) {
        return Ok(key.clone());
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
    reference::TEMPLATE.to_owned()
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
        let uncommented: String = template()
            .lines()
            .map(|line| line.strip_prefix("# ").filter(is_value).unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        let table: Table = uncommented.parse().expect("the template is TOML");
        let keys = leaves(&table, &known_keys().expect("keys"));
        assert_eq!(keys.len(), known_keys().expect("keys").len(), "{keys:?}");
        assert_eq!(Config::deserialize(Value::Table(table)).expect("valid"), Config::default());
    }
}
