//! The simple protocol: a text of statements, each run in its order until one fails.

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::EmptyQueryResponse;

use super::answer::Answer;
use super::problem::{Failure, Problem};
use super::session::Session;
use super::statement::{Statement, Verb, statements};

impl Session {
    /// Serves a query's text.
    pub(super) async fn simple(&mut self, text: &str) -> Result<(), Failure> {
        match self.run_all(text).await {
            Err(Failure::Problem(problem)) if !problem.fatal => self.fail(&problem)?,
            done => done?,
        }
        self.end_statement();
        self.ready().await
    }

    async fn run_all(&mut self, text: &str) -> Result<(), Failure> {
        let statements = statements(text)?;
        if statements.is_empty() {
            self.wire.put(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()))?;
        }
        for statement in statements {
            self.run_one(&statement?).await?;
        }
        Ok(())
    }

    async fn run_one(&mut self, statement: &Statement) -> Result<(), Failure> {
        self.begin_statement(&statement.verb)?;
        match &statement.verb {
            Verb::Query => {
                let plan = self.plan(&statement.sql, statement.before).await?;
                if let Some(name) = plan.get_parameter_names().map_err(Problem::from)?.into_iter().min() {
                    return Err(Problem::new("42P02", format!("there is no parameter {name}")).into());
                }
                let mut answer = self.interrupt.guard(Answer::begin(&self.context, plan)).await??;
                let sent = self.send_all(&mut answer, &[], true).await?;
                self.complete(statement.answer_tag().complete(sent))
            }
            Verb::Declare { query, before, .. } => {
                let plan = self.plan(query, *before).await?;
                self.command(&statement.verb, Some(plan), &[], true).await
            }
            verb => self.command(verb, None, &[], true).await,
        }
    }
}
