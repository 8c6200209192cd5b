//! The lake over there: the statements that give Athena a database, the table over the lake's Delta log, and the views.
//!
//! The views are those of the embedded engine, in Athena's functions, so that one question means the same on both.

use std::fmt;

use crate::dialect::Literal;
use crate::views;

/// The table that the catalogue's queries name.
pub const EVENTS: &str = "events";

/// Why a name or a place cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A name that Athena would not take, or not without surprises.
    #[error("{name:?} is no name of a {what}: use lower-case letters, digits and underscores, 128 at most")]
    Name {
        /// `database` or `table`.
        what: &'static str,
        /// As it was given.
        name: String,
    },
    /// The name of a view.
    #[error("{name:?} is the name of a view over the table: give the table another")]
    View {
        /// The name.
        name: String,
    },
    /// A place that is none.
    #[error("{text:?} is no place in S3, such as s3://BUCKET/PREFIX")]
    Location {
        /// As it was given.
        text: String,
    },
}

/// A folder of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// The folder's key, without a slash at either end; empty for the whole bucket.
    pub prefix: String,
}

impl Location {
    /// Reads `s3://BUCKET/PREFIX`, with or without a slash at its end.
    ///
    /// # Errors
    ///
    /// [`NameError::Location`].
    pub fn parse(text: &str) -> Result<Location, NameError> {
        let wrong = || NameError::Location { text: text.to_owned() };
        let rest = text.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte));
        let prefix = prefix.trim_end_matches('/');
        // What Hive's strings or a path read otherwise has no place in the name of a lake.
        let is_prefix = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.=+@:,".contains(&byte))
            && prefix.split('/').all(|part| !matches!(part, "." | "..") && (!part.is_empty() || prefix.is_empty()));
        if !is_bucket || !is_prefix {
            return Err(wrong());
        }
        Ok(Location { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// A key below it.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }
}

impl fmt::Display for Location {
    /// With a slash at its end: without one a neighbour whose name begins the same would be meant too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key(""))
    }
}

/// The names of a database and of the table in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    database: String,
    table: String,
}

impl Names {
    /// Checks both names.
    ///
    /// # Errors
    ///
    /// [`NameError`].
    pub fn new(database: &str, table: &str) -> Result<Names, NameError> {
        for (what, name) in [("database", database), ("table", table)] {
            // A database of Glue may have hyphens, and is quoted.
            let others: &[u8] = if what == "database" { b"_-" } else { b"_" };
            let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || others.contains(&byte);
            if !(1..=128).contains(&name.len()) || !name.bytes().all(is_letter) {
                return Err(NameError::Name { what, name: name.to_owned() });
            }
        }
        if views::VIEWS.iter().any(|(view, _)| *view == table) {
            return Err(NameError::View { name: table.to_owned() });
        }
        Ok(Names { database: database.to_owned(), table: table.to_owned() })
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Makes the database where it is not there.
    #[must_use]
    pub fn create_database(&self) -> String {
        format!("CREATE DATABASE IF NOT EXISTS `{}`", self.database)
    }

    /// Makes the table over a Delta lake. Its columns and files are the log's business.
    /// <https://docs.aws.amazon.com/athena/latest/ug/delta-lake-tables.html>
    #[must_use]
    pub fn create_table(&self, location: &Location) -> String {
        format!(
            "CREATE EXTERNAL TABLE `{}`.`{}` LOCATION {} TBLPROPERTIES ('table_type' = 'DELTA')",
            self.database,
            self.table,
            Literal::Text(location.to_string())
        )
    }

    /// The views, by name, and the statement that makes or replaces each. Where the table has a name of its own, a view
    /// gives it the one that the catalogue's queries know.
    #[must_use]
    pub fn create_views(&self) -> Vec<(&'static str, String)> {
        let table = format!("\"{}\".\"{}\"", self.database, self.table);
        let alias = (self.table != EVENTS).then(|| (EVENTS, format!("SELECT * FROM {table}")));
        let views = alias.into_iter().chain(views::for_athena(&table));
        let create = |(name, text): (&'static str, String)| {
            (name, format!("CREATE OR REPLACE VIEW \"{}\".\"{name}\" AS {text}", self.database))
        };
        views.map(create).collect()
    }

    /// Asks what the table holds: one row of `events`, `users`, `actions`, `errors`, `first_day`, `last_day`.
    #[must_use]
    pub fn totals(&self) -> String {
        format!(
            "SELECT count(*) AS events, count(DISTINCT user_name) AS users, count(DISTINCT event_name) AS actions, \
             count(*) FILTER (WHERE error_code <> '') AS errors, CAST(min(event_date) AS varchar) AS first_day, \
             CAST(max(event_date) AS varchar) AS last_day FROM \"{}\".\"{}\"",
            self.database, self.table
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_of_a_bucket() {
        let shown = |text: &str| Location::parse(text).map(|location| location.to_string());
        assert_eq!(shown("s3://our-lake"), Ok("s3://our-lake/".to_owned()));
        assert_eq!(shown("s3://our-lake/a/b_c=1/"), Ok("s3://our-lake/a/b_c=1/".to_owned()));
        assert_eq!(Location::parse("s3://our-lake/a").unwrap().key("_delta_log/"), "a/_delta_log/");
        for wrong in
            ["our-lake", "s3://", "s3://B/x", "s3://lake/a//b", "s3://lake/../x", "s3://lake/a'b", "s3a://lake"]
        {
            assert_eq!(shown(wrong), Err(NameError::Location { text: wrong.to_owned() }), "{wrong}");
        }
    }

    #[test]
    fn names_are_checked_and_statements_quote_them() {
        for (database, table) in [("a b", "events"), ("Trails", "events"), ("trails", "ev`ents"), ("", "events")] {
            assert!(matches!(Names::new(database, table), Err(NameError::Name { .. })), "{database}.{table}");
        }
        assert!(matches!(Names::new("trails", "iam_events"), Err(NameError::View { .. })));
        let names = Names::new("trails", "events").unwrap();
        let location = Location::parse("s3://our-lake/lake").unwrap();
        assert_eq!(
            names.create_table(&location),
            "CREATE EXTERNAL TABLE `trails`.`events` LOCATION 's3://our-lake/lake/' TBLPROPERTIES ('table_type' = 'DELTA')"
        );
        let views = names.create_views();
        assert_eq!(
            views.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["iam_events", "cloudtrail", "cloudtrail_logs"]
        );
        assert!(views[0].1.starts_with("CREATE OR REPLACE VIEW \"trails\".\"iam_events\" AS SELECT "));
        let views = Names::new("trails", "ours").unwrap().create_views();
        assert_eq!(views[0].1, "CREATE OR REPLACE VIEW \"trails\".\"events\" AS SELECT * FROM \"trails\".\"ours\"");
    }
}
