//! Every query of the catalogue on a small hand-made set of records with a known answer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use query::catalogue::{Asked, Catalogue, Query, Standard};

use crate::world::{NOW, Table, answer, ask, block, cell, engine, lake, time};

pub(crate) fn folder() -> PathBuf {
    PathBuf::from("tests/cases")
}

/// A case's parameters.
pub(crate) fn parameters(query: &Query, folder: &Path) -> (Asked, String) {
    asked(query, &fs::read_to_string(folder.join("params.txt")).unwrap_or_default())
}

/// What a case asks of the same records: `params.txt` and `expected.csv`, and pairs like `params-night.txt` and
/// `expected-night.csv`.
fn questions(folder: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").file_name());
    let names =
        files.filter_map(|name| Some(name.to_str()?.strip_prefix("expected")?.strip_suffix(".csv")?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.into_iter().map(|name| (format!("params{name}.txt"), format!("expected{name}.csv"))).collect()
}

/// Parameters as a file has them: `name=value` lines; `now` is the time it is asked at.
fn asked(query: &Query, text: &str) -> (Asked, String) {
    let (mut asked, mut now) = (Asked::default(), NOW.to_owned());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.split_once('=').expect("name=value");
        let standard = Standard::ALL.iter().find(|standard| standard.name() == name);
        match (name, standard) {
            ("now", _) => now = value.to_owned(),
            ("days", _) => asked.days = Some(value.parse().expect("days")),
            (_, Some(&standard)) => drop(asked.standard.insert(standard, value.to_owned())),
            _ => drop(asked.set.insert(name.to_owned(), value.to_owned())),
        }
    }
    assert!(asked.set.keys().all(|name| query.parameters.iter().any(|known| known.name == *name)), "{}", query.name);
    (asked, now)
}

pub(crate) fn records(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("records.jsonl")).expect("records.jsonl");
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn expected(file: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_path(file).expect("expected rows");
    let columns = reader.headers().expect("a head").iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect();
    (columns, rows)
}

/// Numbers are compared as numbers: 33.3 is 33.30.
fn same(left: &str, right: &str) -> bool {
    left == right
        || matches!((left.parse::<f64>(), right.parse::<f64>()), (Ok(left), Ok(right)) if (left - right).abs() < 1e-9)
}

fn differs(found: &Table, (columns, rows): &(Vec<String>, Vec<Vec<String>>)) -> Option<String> {
    if found.0 != *columns {
        return Some(format!("columns {:?}, not {columns:?}", found.0));
    }
    let shown: Vec<Vec<String>> = found.1.iter().map(|row| row.iter().map(cell).collect()).collect();
    let equal =
        |(left, right): (&Vec<String>, &Vec<String>)| left.iter().zip(right).all(|(left, right)| same(left, right));
    if shown.len() == rows.len() && shown.iter().zip(rows).all(equal) {
        return None;
    }
    let text = |rows: &[Vec<String>]| rows.iter().map(|row| row.join(" | ")).collect::<Vec<_>>().join("\n    ");
    Some(format!("found\n    {}\n  expected\n    {}", text(&shown), text(rows)))
}

#[test]
fn every_query_finds_what_was_planted_and_nothing_else() {
    let mut problems = Vec::new();
    for query in Catalogue::built_in().iter() {
        let case = folder().join(&query.name);
        let home = tempfile::tempdir().expect("a folder");
        let lake = lake(home.path(), &records(&case));
        for (params, rows) in questions(&case) {
            let (asked, now) = asked(query, &fs::read_to_string(case.join(&params)).unwrap_or_default());
            let statement = query.statement(&asked, time(&now).day()).expect("a statement");
            match answer(&engine(Some(lake.clone()), &now), &statement) {
                Err(error) => problems.push(format!("{} ({params}): {error}", query.name)),
                Ok(found) => {
                    let expected = expected(&case.join(&rows));
                    assert!(!expected.1.is_empty(), "{} ({rows}): a case with no rows shows nothing", query.name);
                    if let Some(difference) = differs(&found, &expected) {
                        problems.push(format!("{} ({params}): {difference}", query.name));
                    }
                    for column in &query.shown {
                        assert!(found.0.contains(column), "{}: shows {column}, which it does not give", query.name);
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "{} of the queries\n{}", problems.len(), problems.join("\n"));
}

/// What is asked of nobody, or of no region or account, has no answer.
#[test]
fn every_filter_is_in_every_query() {
    let mut problems = Vec::new();
    for query in Catalogue::built_in().iter() {
        let case = folder().join(&query.name);
        let home = tempfile::tempdir().expect("a folder");
        let (asked, now) = parameters(query, &case);
        let engine = engine(Some(lake(home.path(), &records(&case))), &now);
        block(async {
            let session = engine.session().await.expect("a session");
            for (standard, nowhere) in
                [(Standard::User, "nobody"), (Standard::Region, "nowhere"), (Standard::Account, "000000000000")]
            {
                let mut asked = asked.clone();
                asked.standard.insert(standard, nowhere.to_owned());
                let statement = query.statement(&asked, time(&now).day()).expect("a statement");
                let (_, rows) = ask(&session, &statement).await.expect("an answer");
                if !rows.is_empty() {
                    problems.push(format!("{} of {}={nowhere}: {rows:?}", query.name, standard.name()));
                }
            }
        });
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_query_has_a_case_and_every_file_is_a_query() {
    let catalogue = Catalogue::built_in();
    let names: BTreeSet<String> = catalogue.iter().map(|query| query.name.clone()).collect();
    let listed = |folder: &str, strip: &str| -> BTreeSet<String> {
        let files = fs::read_dir(folder).expect("a folder");
        files.map(|file| file.expect("a file").file_name().to_string_lossy().replace(strip, "")).collect()
    };
    assert_eq!(listed("catalogue", ".sql"), names);
    assert_eq!(listed("tests/cases", "/"), names);
    assert_eq!(catalogue.iter().filter(|query| query.group == "classic").count(), 15);
    assert!(names.len() >= 30);
}

/// Without one, a query over years of events would read them all.
#[test]
fn every_query_asks_for_days_and_gives_a_total_order() {
    for query in Catalogue::built_in().iter() {
        assert!(query.text.contains("event_date"), "{} has no predicate on event_date", query.name);
        assert!(query.text.contains("ORDER BY"), "{} has no order", query.name);
        assert!(!query.text.contains("approx_"), "{} is approximate", query.name);
        assert!(!query.title.is_empty() && !query.description.is_empty(), "{} is not explained", query.name);
        assert!(
            query.takes(Standard::Account) && query.takes(Standard::Region) && query.takes(Standard::User),
            "{}",
            query.name
        );
    }
}
