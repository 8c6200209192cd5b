//! How the configuration is put together: defaults, the file, the environment. Unknown keys are errors that name the nearest
//! known one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use query::nearest;
use serde::Deserialize;
use toml::{Table, Value};

use super::Config;
use crate::exit::usage;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AthenaConfig, TEMPLATE};

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
        let uncommented: String = TEMPLATE
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
