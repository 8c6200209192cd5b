//! Questions that are ready: one `.sql` file each, with its title, what it is for and its parameters at its head.
//!
//! The text is the same for every engine. Parameters are written `:name` and become typed literals in
//! [`dialect::render`]; no value ever becomes part of the text as it came.

mod file;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use event::Day;
use event::policy::ADMIN_POLICIES;

use crate::dialect::{self, Literal, LiteralType};
use crate::error::nearest;

pub use file::{CatalogueError, Parameter, Query, Standard};

macro_rules! queries {
    ($($name:literal)*) => { [$(($name, include_str!(concat!("../catalogue/", $name, ".sql"))),)*] };
}

/// The built-in queries; one file and one line each.
const BUILT_IN: &[(&str, &str)] = &queries![
    "user_lookup"
    "failed_auth"
    "root_usage"
    "off_hours"
    "active_users"
    "permission_changes"
    "role_assumptions"
    "daily_summary"
    "hourly_activity"
    "sso_permission_sets"
    "sso_account_assignments"
    "sso_admin_policies"
    "sso_applications"
    "sso_admin_users"
    "sso_activity_summary"
    "break_glass_use"
    "console_logins_without_mfa"
    "cross_account_role_use"
    "identity_center_logins"
    "role_sessions"
    "changes_outside_iac"
    "exposure_changes"
    "logging_changes"
    "mass_deletions"
    "policy_history"
    "privilege_changes_by_target"
    "access_key_activity"
    "credentials_from_key"
    "denied_calls_by_principal"
    "dormant_users"
    "first_api_use"
    "ip_new_for_principal"
    "new_principals"
    "new_regions"
    "secret_reads"
    "source_ip_activity"
    "ai_setup_changes"
    "ai_usage"
    "access_key_inventory"
    "account_coverage"
    "root_actions"
];

static CATALOGUE: LazyLock<Vec<Query>> = LazyLock::new(|| {
    let parse = |&(name, text): &(&str, &str)| {
        Query::parse(name, text).unwrap_or_else(|error| panic!("the built-in query {name}: {error}"))
    };
    BUILT_IN.iter().map(parse).collect()
});

/// The queries there are: those that come with the program, and the user's own.
#[derive(Debug, Clone)]
pub struct Catalogue {
    queries: Vec<Query>,
}

/// What somebody asks a query for, beside its own parameters.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The first day; so many days before the last if `None`, as the query has it.
    pub from: Option<Day>,
    /// The last day; today if `None`.
    pub to: Option<Day>,
    /// How many days before the last the first lies.
    pub days: Option<u32>,
    /// The standard parameters that were given, by name: `account`, `region`, `user`, `limit`.
    pub standard: BTreeMap<Standard, String>,
    /// The query's own parameters that were given, by name.
    pub set: BTreeMap<String, String>,
}

impl Catalogue {
    /// The built-in queries.
    #[must_use]
    pub fn built_in() -> Catalogue {
        Catalogue { queries: CATALOGUE.clone() }
    }

    /// Adds the user's own, `*.sql` in a folder; one with the name of a built-in query takes its place. A folder that is
    /// not there holds none. What cannot be used is returned, file by file, and the others are added.
    pub fn add_folder(&mut self, folder: &Path) -> Vec<CatalogueError> {
        let mut problems = Vec::new();
        for found in file::read_folder(folder) {
            match found {
                Ok(query) => {
                    self.queries.retain(|known| known.name != query.name);
                    self.queries.push(query);
                }
                Err(problem) => problems.push(problem),
            }
        }
        problems
    }

    /// Adds to the default of every list parameter of a name, in the lower case that queries compare it in: to
    /// `admin_policies` those of the configuration.
    pub fn extend_list(&mut self, name: &str, more: &[String]) {
        for parameter in self.queries.iter_mut().flat_map(|query| &mut query.parameters) {
            if let Some(Literal::List(list)) = parameter.default.as_mut().filter(|_| parameter.name == name) {
                list.extend(more.iter().map(|text| text.to_lowercase()));
            }
        }
    }

    /// Every query, the built-in ones first.
    pub fn iter(&self) -> impl Iterator<Item = &Query> {
        self.queries.iter()
    }

    /// The query of this name.
    ///
    /// # Errors
    ///
    /// [`CatalogueError::Unknown`], with the nearest name.
    pub fn find(&self, name: &str) -> Result<&Query, CatalogueError> {
        let wanted = name.replace('-', "_").to_lowercase();
        self.queries.iter().find(|query| query.name == wanted).ok_or_else(|| CatalogueError::Unknown {
            what: "query",
            name: name.to_owned(),
            near: nearest(name, self.queries.iter().map(|query| query.name.as_str())),
        })
    }
}

impl Query {
    /// The statement with every parameter in its place.
    ///
    /// # Errors
    ///
    /// [`CatalogueError`] if a parameter is unknown, missing, or not of its type.
    pub fn statement(&self, asked: &Asked, today: Day) -> Result<String, CatalogueError> {
        dialect::render(&self.text, &self.values(asked, today)?)
            .map_err(|error| CatalogueError::Statement { name: self.name.clone(), reason: error.to_string() })
    }

    /// The value of every parameter.
    fn values(&self, asked: &Asked, today: Day) -> Result<BTreeMap<String, Literal>, CatalogueError> {
        let to = asked.to.unwrap_or(today);
        let days = asked.days.unwrap_or(self.days);
        let from = asked.from.unwrap_or_else(|| Day::from_days(to.days().saturating_sub_unsigned(days)));
        if from > to {
            return Err(CatalogueError::Window { from, to });
        }
        let mut values = BTreeMap::from([
            ("from_date".to_owned(), Literal::Text(from.to_string())),
            ("to_date".to_owned(), Literal::Text(to.to_string())),
        ]);
        for &standard in Standard::ALL {
            let given = asked.standard.get(&standard);
            if given.is_some() && !self.takes(standard) {
                return Err(CatalogueError::NotTaken { query: self.name.clone(), name: standard.name() });
            }
            let value = match (standard, given) {
                (Standard::Limit, None) => Literal::Integer(self.limit.unwrap_or(i64::MAX)),
                (Standard::Limit, Some(text)) => integer("limit", text)?,
                (_, Some(text)) => Literal::Text(text.clone()),
                (_, None) => Literal::Null(LiteralType::Text),
            };
            values.insert(standard.name().to_owned(), value);
        }
        for name in asked.set.keys() {
            if !self.parameters.iter().any(|parameter| parameter.name == *name) {
                let near = nearest(name, self.parameters.iter().map(|parameter| parameter.name.as_str()));
                return Err(CatalogueError::Unknown { what: "parameter", name: name.clone(), near });
            }
        }
        for parameter in &self.parameters {
            let value = match (asked.set.get(&parameter.name), &parameter.default) {
                (Some(text), _) => match parameter.kind {
                    LiteralType::Integer => integer(&parameter.name, text)?,
                    LiteralType::List => Literal::List(several(text)),
                    _ => Literal::Text(text.clone()),
                },
                (None, Some(default)) => default.clone(),
                (None, None) => {
                    return Err(CatalogueError::Missing {
                        query: self.name.clone(),
                        name: parameter.name.clone(),
                        meaning: parameter.meaning.clone(),
                    });
                }
            };
            values.insert(parameter.name.clone(), value);
        }
        Ok(values)
    }
}

/// The list that a parameter of this name takes by default, in lower case. What others know too is not written down twice.
fn built_in_list(name: &str) -> Option<Vec<String>> {
    (name == "admin_policies").then(|| ADMIN_POLICIES.iter().map(|policy| policy.to_lowercase()).collect())
}

/// The values of a list as people write it, with commas.
fn several(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
}

fn integer(name: &str, text: &str) -> Result<Literal, CatalogueError> {
    let number = text.trim().parse().ok().filter(|number| *number >= 0);
    number
        .map(Literal::Integer)
        .ok_or_else(|| CatalogueError::NoNumber { name: name.to_owned(), text: text.to_owned() })
}
