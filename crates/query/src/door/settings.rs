//! A session's settings: those that clients set and ask for. They change how values are written and how long a
//! statement may take; nothing of them reaches the engine.

use std::collections::BTreeMap;
use std::time::Duration;

use pgwire::types::format::FormatOptions;

use super::problem::Problem;

/// The version that clients take this server for: what `datafusion-pg-catalog` carries the catalogue of.
pub(super) const SERVER_VERSION: &str = "16.6 (Trailhound)";

/// The longest value kept.
const LONGEST: usize = 1000;

/// The most settings of its own making that a client may keep.
const OWN: usize = 100;

/// How a setting may be changed, and who hears of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Any value.
    Free,
    /// Never changed.
    Fixed,
    /// Told to the client whenever it changes.
    Reported,
    /// Told to the client at the beginning, never changed.
    FixedReported,
}
use Kind::{Fixed, FixedReported, Free, Reported};

/// What there is, in the spelling that `SHOW` and reports use.
const KNOWN: &[(&str, &str, Kind)] = &[
    ("application_name", "", Reported),
    ("backend_flush_after", "0", Free),
    ("block_size", "8192", Fixed),
    ("bytea_output", "hex", Free),
    ("check_function_bodies", "on", Free),
    ("client_encoding", "UTF8", Reported),
    ("client_min_messages", "notice", Free),
    ("cursor_tuple_fraction", "0.1", Free),
    ("DateStyle", "ISO, MDY", Reported),
    ("default_table_access_method", "heap", Free),
    ("default_tablespace", "", Free),
    ("default_text_search_config", "pg_catalog.simple", Free),
    ("default_transaction_deferrable", "off", Free),
    ("default_transaction_isolation", "read committed", Free),
    ("default_transaction_read_only", "on", FixedReported),
    ("enable_bitmapscan", "on", Free),
    ("enable_hashjoin", "on", Free),
    ("enable_indexscan", "on", Free),
    ("enable_mergejoin", "on", Free),
    ("enable_nestloop", "on", Free),
    ("enable_seqscan", "on", Free),
    ("enable_sort", "on", Free),
    ("escape_string_warning", "on", Free),
    ("extra_float_digits", "1", Free),
    ("force_parallel_mode", "off", Free),
    ("geqo", "on", Free),
    ("idle_in_transaction_session_timeout", "0", Free),
    ("idle_session_timeout", "0", Free),
    ("in_hot_standby", "off", FixedReported),
    ("integer_datetimes", "on", FixedReported),
    ("IntervalStyle", "postgres", Reported),
    ("is_superuser", "off", FixedReported),
    ("jit", "off", Free),
    ("lc_collate", "C", Fixed),
    ("lc_ctype", "C", Fixed),
    ("lc_messages", "C", Free),
    ("lc_monetary", "C", Free),
    ("lc_numeric", "C", Free),
    ("lc_time", "C", Free),
    ("lock_timeout", "0", Free),
    ("max_identifier_length", "63", Fixed),
    ("max_index_keys", "32", Fixed),
    ("max_parallel_workers_per_gather", "2", Free),
    ("quote_all_identifiers", "off", Free),
    ("row_security", "on", Free),
    ("search_path", "\"$user\", public", Reported),
    ("server_encoding", "UTF8", FixedReported),
    ("server_version", SERVER_VERSION, FixedReported),
    ("server_version_num", "160006", Fixed),
    ("session_authorization", "", FixedReported),
    ("ssl", "off", Fixed),
    ("ssl_renegotiation_limit", "0", Free),
    ("standard_conforming_strings", "on", FixedReported),
    ("statement_timeout", "0", Free),
    ("synchronize_seqscans", "on", Free),
    ("synchronous_commit", "on", Free),
    ("temp_buffers", "8MB", Free),
    ("temp_tablespaces", "", Free),
    ("TimeZone", "UTC", Reported),
    ("transaction_deferrable", "off", Free),
    ("transaction_isolation", "read committed", Free),
    ("transaction_read_only", "on", Fixed),
    ("transaction_timeout", "0", Free),
    ("work_mem", "4MB", Free),
    ("xmlbinary", "base64", Free),
    ("xmloption", "content", Free),
];

#[derive(Clone)]
struct Setting {
    /// As it is spelled.
    name: String,
    value: String,
    /// What `RESET` goes back to: the client's own where it named one as it came in.
    default: String,
    kind: Kind,
}

/// The settings of a session, by their names in lower case.
pub(super) struct Settings {
    settings: BTreeMap<String, Setting>,
    /// What `SET LOCAL` changed, to be undone when the transaction ends.
    local: Vec<(String, String)>,
}

/// A setting to be told to the client.
pub(super) type Report = Option<(String, String)>;

impl Settings {
    pub(super) fn new(user: &str) -> Settings {
        let mut settings = BTreeMap::new();
        for (name, value, kind) in KNOWN {
            let value = if *name == "session_authorization" { user } else { value };
            let setting =
                Setting { name: (*name).to_owned(), value: value.to_owned(), default: value.to_owned(), kind: *kind };
            settings.insert(name.to_lowercase(), setting);
        }
        Settings { settings, local: Vec::new() }
    }

    /// Takes what the client named as it came in; what this server does not know is passed over.
    pub(super) fn begin(&mut self, parameters: &[(String, String)]) -> Result<(), Problem> {
        for (name, value) in parameters {
            if name == "options" {
                self.options(value)?;
            } else if !matches!(name.as_str(), "user" | "database" | "replication") {
                self.initial(name, value)?;
            }
        }
        Ok(())
    }

    /// Takes `-c name=value` and `--name=value`, with blanks escaped by a backslash.
    fn options(&mut self, options: &str) -> Result<(), Problem> {
        let mut words = vec![String::new()];
        let mut characters = options.chars();
        while let Some(character) = characters.next() {
            match (character, words.last_mut()) {
                ('\\', Some(word)) => word.extend(characters.next()),
                (character, Some(word)) if !character.is_whitespace() => word.push(character),
                _ => words.push(String::new()),
            }
        }
        for word in words {
            let word = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).unwrap_or(&word);
            if let Some((name, value)) = word.split_once('=') {
                self.initial(&name.replace('-', "_"), value)?;
            }
        }
        Ok(())
    }

    fn initial(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let known = self.settings.get(&name.to_lowercase());
        if known.is_none_or(|setting| matches!(setting.kind, Fixed | FixedReported)) {
            return Ok(());
        }
        self.set(name, Some(value), false)?;
        if let Some(setting) = self.settings.get_mut(&name.to_lowercase()) {
            setting.default.clone_from(&setting.value);
        }
        Ok(())
    }

    /// Changes a setting; to its default where there is no value. Returns what the client is to be told.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<Report, Problem> {
        let key = name.to_lowercase();
        if !self.settings.contains_key(&key) {
            self.add(name, &key)?;
        }
        let Some(setting) = self.settings.get_mut(&key) else { return Err(unknown(name)) };
        let value = checked(&setting.name, value.unwrap_or(&setting.default))?;
        let is_fixed = matches!(setting.kind, Fixed | FixedReported);
        if is_fixed && !value.eq_ignore_ascii_case(&setting.value) {
            return Err(Problem::new("55P02", format!("parameter \"{}\" cannot be changed", setting.name)));
        }
        if is_fixed {
            return Ok(None);
        }
        let before = std::mem::replace(&mut setting.value, value);
        let report = (setting.kind == Reported).then(|| (setting.name.clone(), setting.value.clone()));
        if local {
            self.local.push((key, before));
        }
        Ok(report)
    }

    /// Makes room for a setting of the client's own: those have a dot in their name.
    fn add(&mut self, name: &str, key: &str) -> Result<(), Problem> {
        let is_own = key.contains('.') && !key.starts_with("datafusion.") && key.len() <= 100;
        if !is_own {
            return Err(unknown(name));
        }
        if self.settings.len() >= KNOWN.len() + OWN {
            return Err(Problem::new("53400", "too many settings"));
        }
        let setting = Setting { name: name.to_owned(), value: String::new(), default: String::new(), kind: Free };
        self.settings.insert(key.to_owned(), setting);
        Ok(())
    }

    /// Sets everything back.
    pub(super) fn reset_all(&mut self) -> Vec<(String, String)> {
        self.local.clear();
        let mut reports = Vec::new();
        for setting in self.settings.values_mut() {
            if setting.value != setting.default {
                setting.value.clone_from(&setting.default);
                if setting.kind == Reported {
                    reports.push((setting.name.clone(), setting.value.clone()));
                }
            }
        }
        reports
    }

    /// Undoes what `SET LOCAL` changed.
    pub(super) fn end_transaction(&mut self) -> Vec<(String, String)> {
        let mut reports = Vec::new();
        for (key, value) in std::mem::take(&mut self.local).into_iter().rev() {
            if let Some(setting) = self.settings.get_mut(&key) {
                setting.value = value;
                if setting.kind == Reported {
                    reports.push((setting.name.clone(), setting.value.clone()));
                }
            }
        }
        reports
    }

    /// Returns a setting's name as it is spelled, and its value.
    pub(super) fn get(&self, name: &str) -> Option<(&str, &str)> {
        let setting = self.settings.get(&name.to_lowercase())?;
        Some((&setting.name, &setting.value))
    }

    /// Returns a setting's name and value, for `SHOW`.
    pub(super) fn show(&self, name: &str) -> Result<(&str, &str), Problem> {
        self.get(name).ok_or_else(|| unknown(name))
    }

    /// Returns all names and values.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.values().map(|setting| (setting.name.as_str(), setting.value.as_str()))
    }

    /// Returns what a client is told as it comes in.
    pub(super) fn greeting(&self) -> impl Iterator<Item = (&str, &str)> {
        let reported = self.settings.values().filter(|setting| matches!(setting.kind, Reported | FixedReported));
        reported.map(|setting| (setting.name.as_str(), setting.value.as_str()))
    }

    /// Returns the time that the client gives a statement.
    pub(super) fn statement_timeout(&self) -> Option<Duration> {
        self.get("statement_timeout").and_then(|(_, value)| duration(value)).filter(|timeout| !timeout.is_zero())
    }

    /// Returns how values are written as text.
    pub(super) fn format(&self) -> FormatOptions {
        let value = |name| self.get(name).map(|(_, value)| value.to_owned()).unwrap_or_default();
        let mut format = FormatOptions::default();
        format.interval_style = value("intervalstyle");
        format.bytea_output = value("bytea_output");
        if let Ok(digits) = value("extra_float_digits").parse() {
            format.extra_float_digits = digits;
        }
        format
    }
}

fn unknown(name: &str) -> Problem {
    Problem::new("42704", format!("unrecognized configuration parameter \"{name}\""))
}

/// Returns the value that is kept, where it is one that this server can mean.
fn checked(name: &str, value: &str) -> Result<String, Problem> {
    let refused = |why: &str| Err(Problem::new("22023", format!("invalid value for parameter \"{name}\": {why}")));
    let lower = value.to_lowercase();
    let kept = match name {
        _ if value.len() > LONGEST || value.chars().any(char::is_control) => return refused("not a plain short text"),
        "client_encoding" => match lower.replace(['-', '_', '\'', '"'], "").as_str() {
            // What a client without a locale asks for: bytes as they are.
            "utf8" | "unicode" | "sqlascii" => "UTF8",
            _ => return refused("only UTF8 is written here"),
        },
        // The order of day and month is for reading dates, which are read as ISO ones alone.
        "DateStyle" => {
            match lower.split(',').map(str::trim).all(|word| matches!(word, "iso" | "mdy" | "dmy" | "ymd")) {
                true => "ISO, MDY",
                false => return refused("only ISO dates are written here"),
            }
        }
        "IntervalStyle" if !matches!(lower.as_str(), "postgres" | "postgres_verbose" | "sql_standard" | "iso_8601") => {
            return refused("not a style of intervals");
        }
        "bytea_output" if !matches!(lower.as_str(), "hex" | "escape") => return refused("neither hex nor escape"),
        "IntervalStyle" | "bytea_output" => &lower,
        "extra_float_digits" if value.parse().is_ok_and(|digits: i8| (-15..=3).contains(&digits)) => value,
        "extra_float_digits" => return refused("not between -15 and 3"),
        "statement_timeout" if duration(value).is_none() => return refused("not a time"),
        _ => value,
    };
    Ok(kept.to_owned())
}

/// Reads a time: milliseconds, or with a unit.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(milliseconds)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{KNOWN, Settings, duration};

    #[test]
    fn names_are_known_once() {
        let settings = Settings::new("reader");
        assert_eq!(settings.all().count(), KNOWN.len());
        assert_eq!(settings.get("SESSION_authorization"), Some(("session_authorization", "reader")));
    }

    #[test]
    fn local_changes_end_with_the_transaction() {
        let mut settings = Settings::new("reader");
        settings.set("timezone", Some("Europe/Berlin"), false).unwrap();
        settings.set("TimeZone", Some("Asia/Tokyo"), true).unwrap();
        settings.set("TimeZone", Some("Asia/Seoul"), true).unwrap();
        assert_eq!(settings.get("timezone"), Some(("TimeZone", "Asia/Seoul")));
        settings.end_transaction();
        assert_eq!(settings.get("timezone"), Some(("TimeZone", "Europe/Berlin")));
        settings.reset_all();
        assert_eq!(settings.get("timezone"), Some(("TimeZone", "UTC")));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let mut settings = Settings::new("reader");
        for (name, value) in [
            ("client_encoding", "LATIN1"),
            ("DateStyle", "German"),
            ("standard_conforming_strings", "off"),
            ("default_transaction_read_only", "off"),
            ("is_superuser", "on"),
            ("extra_float_digits", "99"),
            ("statement_timeout", "soon"),
            ("datafusion.execution.batch_size", "1"),
            ("no_such_setting", "1"),
            ("application_name", "a\0b"),
        ] {
            assert!(settings.set(name, Some(value), false).is_err(), "{name}");
        }
        settings.set("default_transaction_read_only", Some("ON"), false).unwrap();
        settings.set("my.own", Some("x"), false).unwrap();
        assert_eq!(settings.get("my.own"), Some(("my.own", "x")));
    }

    #[test]
    fn options_of_the_connection_are_read() {
        let mut settings = Settings::new("reader");
        let options = "-c statement_timeout=5s --application-name=a\\ b -cjit=off".to_owned();
        settings.begin(&[("options".to_owned(), options)]).unwrap();
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(5)));
        assert_eq!(settings.get("application_name").unwrap().1, "a b");
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("250"), Some(Duration::from_millis(250)));
        assert_eq!(duration("2 min"), Some(Duration::from_secs(120)));
        assert_eq!(duration("99999999999999999999"), None);
        assert_eq!(duration("-1"), None);
    }
}
