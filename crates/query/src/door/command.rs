//! Statements that need no planner: transactions that change nothing, settings, cursors.

use datafusion::logical_expr::LogicalPlan;
use pgwire::messages::response::TransactionStatus;

use super::answer::Answer;
use super::extended::Portal;
use super::problem::{Failure, Problem};
use super::session::Session;
use super::settings::Settings;
use super::statement::Verb;

/// The columns of `SHOW ALL`.
pub(super) const SHOW_ALL: [&str; 3] = ["name", "setting", "description"];

/// Returns how a setting is spelled.
pub(super) fn setting_name(settings: &Settings, name: &str) -> Result<String, Problem> {
    settings.show(name).map(|(name, _)| name.to_owned())
}

impl Session {
    /// Runs `verb`; `plan` is a cursor's. Where `is_described`, rows come with their columns.
    pub(super) async fn command(
        &mut self,
        verb: &Verb,
        plan: Option<LogicalPlan>,
        formats: &[i16],
        is_described: bool,
    ) -> Result<(), Failure> {
        let tag = match verb {
            Verb::Query => return Err(Problem::new("XX000", "a query without its plan").into()),
            Verb::Begin => {
                self.transaction = TransactionStatus::Transaction;
                "BEGIN".to_owned()
            }
            Verb::Commit if self.transaction == TransactionStatus::Error => self.end_transaction("ROLLBACK")?,
            Verb::Commit => self.end_transaction("COMMIT")?,
            Verb::Rollback => self.end_transaction("ROLLBACK")?,
            Verb::Savepoint(_) | Verb::RollbackTo if self.transaction == TransactionStatus::Idle => {
                return Err(Problem::new("25P01", "savepoints can only be used in transaction blocks").into());
            }
            Verb::Savepoint(tag) => (*tag).to_owned(),
            Verb::RollbackTo => {
                self.transaction = TransactionStatus::Transaction;
                "ROLLBACK".to_owned()
            }
            Verb::Set { name, value, local } => {
                // Outside of a transaction there is nothing for it to be local to.
                let is_lost = *local && self.transaction == TransactionStatus::Idle;
                if !is_lost {
                    let report = self.settings().set(name, value.as_deref(), *local)?;
                    self.report(report)?;
                }
                "SET".to_owned()
            }
            Verb::Nothing(tag) => (*tag).to_owned(),
            Verb::Reset(name) => {
                let report = self.settings().set(name, None, false)?;
                self.report(report)?;
                "RESET".to_owned()
            }
            Verb::ResetAll => self.reset_all("RESET")?,
            Verb::Discard => {
                if self.transaction != TransactionStatus::Idle {
                    return Err(Problem::new("25001", "DISCARD ALL cannot run inside a transaction block").into());
                }
                self.prepared.clear();
                self.portals.clear();
                self.reset_all("DISCARD ALL")?
            }
            Verb::Deallocate(None) => {
                self.prepared.clear();
                "DEALLOCATE ALL".to_owned()
            }
            Verb::Deallocate(Some(name)) => match self.prepared.remove(name) {
                Some(_) => "DEALLOCATE".to_owned(),
                None => {
                    let message = format!("prepared statement \"{name}\" does not exist");
                    return Err(Problem::new("26000", message).into());
                }
            },
            Verb::Show(name) => {
                let mut answer = {
                    let settings = self.settings();
                    let (name, value) = settings.show(name)?;
                    Answer::texts(vec![(name, vec![value.to_owned()])])?
                };
                self.send_all(&mut answer, formats, is_described).await?;
                "SHOW".to_owned()
            }
            Verb::ShowAll => {
                let (names, values): (Vec<String>, Vec<String>) =
                    self.settings().all().map(|(name, value)| (name.to_owned(), value.to_owned())).unzip();
                let descriptions = vec![String::new(); names.len()];
                let [name, setting, description] = SHOW_ALL;
                let mut answer = Answer::texts(vec![(name, names), (setting, values), (description, descriptions)])?;
                self.send_all(&mut answer, formats, is_described).await?;
                "SHOW".to_owned()
            }
            Verb::Declare { cursor, hold, .. } => {
                self.declare(cursor, *hold, plan)?;
                "DECLARE CURSOR".to_owned()
            }
            Verb::Fetch { cursor, count } => {
                let rows = self.advance(cursor, *count, Some(formats), is_described).await?;
                format!("FETCH {rows}")
            }
            Verb::Move { cursor, count } => {
                let rows = self.advance(cursor, *count, None, false).await?;
                format!("MOVE {rows}")
            }
            Verb::Close(None) => {
                self.portals.clear();
                "CLOSE CURSOR ALL".to_owned()
            }
            Verb::Close(Some(cursor)) => match self.portals.remove(cursor) {
                Some(_) => "CLOSE CURSOR".to_owned(),
                None => {
                    return Err(Problem::new("34000", format!("cursor \"{cursor}\" does not exist")).into());
                }
            },
        };
        self.complete(tag)
    }

    fn declare(&mut self, cursor: &str, is_held: bool, plan: Option<LogicalPlan>) -> Result<(), Problem> {
        let Some(plan) = plan else { return Err(Problem::new("XX000", "a cursor without its plan")) };
        if !is_held && self.transaction == TransactionStatus::Idle {
            return Err(Problem::new("25P01", "DECLARE CURSOR can only be used in transaction blocks"));
        }
        if self.portals.contains_key(cursor) {
            return Err(Problem::new("42P03", format!("cursor \"{cursor}\" already exists")));
        }
        self.portals.insert(cursor.to_owned(), Portal::cursor(plan, is_held));
        Ok(())
    }

    fn end_transaction(&mut self, tag: &str) -> Result<String, Failure> {
        self.transaction = TransactionStatus::Idle;
        self.end_statement();
        let reports = self.settings().end_transaction();
        self.report(reports)?;
        Ok(tag.to_owned())
    }

    fn reset_all(&mut self, tag: &str) -> Result<String, Failure> {
        let reports = self.settings().reset_all();
        self.report(reports)?;
        Ok(tag.to_owned())
    }
}
