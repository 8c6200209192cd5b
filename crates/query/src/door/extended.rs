//! The extended protocol: statements prepared once, bound to values in portals, and run as far as the client wants.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::EmptyQueryResponse;

use super::answer::{Answer, text_schema};
use super::cells::Columns;
use super::command::{SHOW_ALL, setting_name};
use super::parameters::Parameters;
use super::problem::{Failure, Problem};
use super::session::Session;
use super::statement::{Statement, Tag, Verb, statements};
use super::wire::{Bind, Request};

/// The most prepared statements, and the most portals, of a session.
const MOST: usize = 1000;

/// A prepared statement.
pub(super) enum Prepared {
    /// No statement at all.
    Empty,
    /// What runs without a planner.
    Command(Verb),
    /// A query, or a cursor's.
    Query(Box<Query>),
}

/// A statement that was planned.
pub(super) struct Query {
    statement: Statement,
    plan: LogicalPlan,
    parameters: Parameters,
}

/// A statement with its values, run as far as it was asked to.
pub(super) struct Portal {
    state: State,
    /// The formats of the columns: none (text), one for all, or one each.
    formats: Vec<i16>,
    tag: Tag,
    /// Whether it outlives its transaction.
    pub(super) is_held: bool,
}

enum State {
    Empty,
    Command(Verb, Option<LogicalPlan>),
    Planned(LogicalPlan),
    Running(Answer),
    Finished(Option<SchemaRef>),
}

impl Portal {
    /// A cursor that was declared in SQL.
    pub(super) fn cursor(plan: LogicalPlan, is_held: bool) -> Portal {
        Portal { state: State::Planned(plan), formats: Vec::new(), tag: Tag::Select, is_held }
    }

    /// Returns the columns of its rows.
    pub(super) fn schema(&self) -> Option<SchemaRef> {
        match &self.state {
            State::Planned(plan) => Some(Arc::clone(plan.schema().inner())),
            State::Running(answer) => Some(Arc::clone(&answer.schema)),
            State::Finished(schema) => schema.clone(),
            State::Empty | State::Command(..) => None,
        }
    }
}

impl Session {
    /// Serves a message of the extended protocol.
    pub(super) async fn extended(&mut self, request: Request) -> Result<(), Failure> {
        match request {
            Request::Parse { name, sql, types } => self.parse(name, &sql, &types).await,
            Request::Bind(bind) => self.bind(&bind).await,
            Request::Describe { kind: b'S', name } => self.describe_statement(&name),
            Request::Describe { kind: b'P', name } => self.describe_portal(&name),
            Request::Execute { portal, max_rows } => {
                // Zero and less: all of them.
                let limit = usize::try_from(max_rows).ok().filter(|limit| *limit > 0);
                self.execute(portal, limit).await
            }
            Request::Close { kind, name } => {
                match kind {
                    b'S' => drop(self.prepared.remove(&name)),
                    b'P' => drop(self.portals.remove(&name)),
                    _ => return Err(Problem::fatal("08P01", "invalid kind of a Close message").into()),
                }
                Ok(self.wire.put(PgWireBackendMessage::CloseComplete(CloseComplete::new()))?)
            }
            _ => Err(Problem::fatal("08P01", "a message that has no place here").into()),
        }
    }

    async fn parse(&mut self, name: String, sql: &str, types: &[u32]) -> Result<(), Failure> {
        if !name.is_empty() && self.prepared.contains_key(&name) {
            return Err(Problem::new("42P05", format!("prepared statement \"{name}\" already exists")).into());
        }
        let mut statements = statements(sql)?;
        let prepared = match (statements.pop(), statements.is_empty()) {
            (None, _) => Prepared::Empty,
            (Some(statement), true) => self.prepare(statement?, types).await?,
            (Some(_), false) => {
                let message = "cannot insert multiple commands into a prepared statement";
                return Err(Problem::new("42601", message).into());
            }
        };
        if self.prepared.len() >= MOST {
            return Err(Problem::new("53400", "too many prepared statements").into());
        }
        self.prepared.insert(name, Arc::new(prepared));
        Ok(self.wire.put(PgWireBackendMessage::ParseComplete(ParseComplete::new()))?)
    }

    async fn prepare(&mut self, statement: Statement, types: &[u32]) -> Result<Prepared, Failure> {
        self.begin_statement(&statement.verb)?;
        let Some(plan) = self.planned(&statement).await? else { return Ok(Prepared::Command(statement.verb)) };
        let parameters = Parameters::of(&plan, types)?;
        Ok(Prepared::Query(Box::new(Query { statement, plan, parameters })))
    }

    /// The plan of a query, or of a cursor's.
    async fn planned(&mut self, statement: &Statement) -> Result<Option<LogicalPlan>, Failure> {
        Ok(match &statement.verb {
            Verb::Query => Some(self.plan(&statement.sql, statement.before).await?),
            Verb::Declare { query, before, .. } => Some(self.plan(query, *before).await?),
            _ => None,
        })
    }

    async fn bind(&mut self, bind: &Bind) -> Result<(), Failure> {
        let prepared = self.prepared_statement(&bind.statement)?;
        if !bind.portal.is_empty() && self.portals.contains_key(&bind.portal) {
            return Err(Problem::new("42P03", format!("cursor \"{}\" already exists", bind.portal)).into());
        }
        if self.portals.len() >= MOST {
            return Err(Problem::new("53400", "too many cursors").into());
        }
        let (state, tag) = match prepared.as_ref() {
            Prepared::Query(query) => {
                let Query { statement, plan, parameters } = query.as_ref();
                let values = parameters.values(bind)?;
                let mut plan = plan.clone();
                // A plan has in it what time it is; a statement with a name may have been prepared days ago.
                if !bind.statement.is_empty() {
                    self.begin_statement(&statement.verb)?;
                    plan = self.planned(statement).await?.unwrap_or(plan);
                }
                let plan = plan.replace_params_with_values(&values).map_err(Problem::from)?;
                match &statement.verb {
                    Verb::Query => {
                        // Says now what is wrong with the formats.
                        Columns::new(plan.schema().inner(), &bind.results, self.settings().format())?;
                        (State::Planned(plan), statement.answer_tag())
                    }
                    verb => (State::Command(verb.clone(), Some(plan)), Tag::Select),
                }
            }
            _ if !bind.values.is_empty() => {
                return Err(Problem::new("08P01", "the statement has no parameters").into());
            }
            Prepared::Command(verb) => (State::Command(verb.clone(), None), Tag::Select),
            Prepared::Empty => (State::Empty, Tag::Select),
        };
        let portal = Portal { state, formats: bind.results.clone(), tag, is_held: false };
        self.portals.insert(bind.portal.clone(), portal);
        Ok(self.wire.put(PgWireBackendMessage::BindComplete(BindComplete::new()))?)
    }

    fn prepared_statement(&self, name: &str) -> Result<Arc<Prepared>, Problem> {
        match self.prepared.get(name) {
            Some(prepared) => Ok(Arc::clone(prepared)),
            None => Err(Problem::new("26000", format!("prepared statement \"{name}\" does not exist"))),
        }
    }

    fn describe_statement(&mut self, name: &str) -> Result<(), Failure> {
        let prepared = self.prepared_statement(name)?;
        let (types, schema) = match prepared.as_ref() {
            Prepared::Query(query) => {
                let Query { statement, plan, parameters } = query.as_ref();
                let types = parameters.types().iter().map(|kind| kind.oid()).collect();
                let schema = match &statement.verb {
                    Verb::Query => {
                        let plan = plan.clone().replace_params_with_values(&parameters.nothing());
                        Some(Arc::clone(plan.map_err(Problem::from)?.schema().inner()))
                    }
                    _ => None,
                };
                (types, schema)
            }
            Prepared::Command(verb) => (Vec::new(), self.command_schema(verb)?),
            Prepared::Empty => (Vec::new(), None),
        };
        let parameters = ParameterDescription::new(types);
        self.wire.put(PgWireBackendMessage::ParameterDescription(parameters))?;
        self.describe(schema, &[])
    }

    fn describe_portal(&mut self, name: &str) -> Result<(), Failure> {
        let Some(portal) = self.portals.get(name) else { return Err(no_portal(name).into()) };
        let formats = portal.formats.clone();
        let schema = match &portal.state {
            State::Command(verb, _) => self.command_schema(verb)?,
            _ => portal.schema(),
        };
        self.describe(schema, &formats)
    }

    fn describe(&mut self, schema: Option<SchemaRef>, formats: &[i16]) -> Result<(), Failure> {
        let Some(schema) = schema else {
            return Ok(self.wire.put(PgWireBackendMessage::NoData(NoData::new()))?);
        };
        let columns = Columns::new(&schema, formats, self.settings().format())?;
        Ok(self.wire.put(PgWireBackendMessage::RowDescription(columns.description()))?)
    }

    /// Returns the columns of what a command answers.
    fn command_schema(&self, verb: &Verb) -> Result<Option<SchemaRef>, Problem> {
        match verb {
            Verb::Show(name) => {
                Ok(Some(Arc::new(text_schema([setting_name(&self.settings(), name)?.as_str()].into_iter()))))
            }
            Verb::ShowAll => Ok(Some(Arc::new(text_schema(SHOW_ALL.into_iter())))),
            Verb::Fetch { cursor, .. } => match self.portals.get(cursor) {
                Some(portal) => Ok(portal.schema()),
                None => Err(no_portal(cursor)),
            },
            _ => Ok(None),
        }
    }

    async fn execute(&mut self, name: String, limit: Option<usize>) -> Result<(), Failure> {
        let Some(mut portal) = self.portals.remove(&name) else { return Err(no_portal(&name).into()) };
        self.begin_statement(match &portal.state {
            State::Command(verb, _) => verb,
            _ => &Verb::Query,
        })?;
        if let State::Planned(plan) = portal.state {
            let answer = self.interrupt.guard(Answer::begin(&self.context, plan)).await??;
            portal.state = State::Running(answer);
        }
        portal.state = match portal.state {
            State::Empty => {
                self.wire.put(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()))?;
                State::Empty
            }
            State::Command(verb, plan) => {
                self.command(&verb, plan, &portal.formats, false).await?;
                State::Finished(None)
            }
            State::Running(mut answer) => {
                let columns = Columns::new(&answer.schema, &portal.formats, self.settings().format())?;
                let sent = answer.send(&mut self.wire, &mut self.interrupt, &columns, limit).await?;
                if sent.is_suspended {
                    self.wire.put(PgWireBackendMessage::PortalSuspended(PortalSuspended::new()))?;
                    State::Running(answer)
                } else {
                    self.complete(portal.tag.complete(sent.rows))?;
                    State::Finished(Some(answer.schema))
                }
            }
            State::Finished(schema) => {
                self.complete(portal.tag.complete(0))?;
                State::Finished(schema)
            }
            State::Planned(_) => State::Finished(None),
        };
        self.portals.insert(name, portal);
        Ok(())
    }

    /// Sends all rows of an answer, and before them their columns where the client does not know them yet.
    pub(super) async fn send_all(
        &mut self,
        answer: &mut Answer,
        formats: &[i16],
        is_described: bool,
    ) -> Result<usize, Failure> {
        self.send_some(answer, formats, is_described, None).await
    }

    async fn send_some(
        &mut self,
        answer: &mut Answer,
        formats: &[i16],
        is_described: bool,
        limit: Option<usize>,
    ) -> Result<usize, Failure> {
        let columns = Columns::new(&answer.schema, formats, self.settings().format())?;
        if is_described {
            self.wire.put(PgWireBackendMessage::RowDescription(columns.description()))?;
        }
        Ok(answer.send(&mut self.wire, &mut self.interrupt, &columns, limit).await?.rows)
    }

    /// Takes rows of a cursor: sends them, or passes over them where there is nothing to send them in.
    pub(super) async fn advance(
        &mut self,
        name: &str,
        count: Option<usize>,
        formats: Option<&[i16]>,
        is_described: bool,
    ) -> Result<usize, Failure> {
        let Some(mut portal) = self.portals.remove(name) else { return Err(no_portal(name).into()) };
        if let State::Planned(plan) = portal.state {
            portal.state = State::Running(self.interrupt.guard(Answer::begin(&self.context, plan)).await??);
        }
        let rows = match (&mut portal.state, formats) {
            (State::Running(answer), Some(formats)) => self.send_some(answer, formats, is_described, count).await?,
            (State::Running(answer), None) => answer.skip(&mut self.interrupt, count).await?,
            _ => return Err(Problem::new("55000", format!("cursor \"{name}\" has no rows")).into()),
        };
        self.portals.insert(name.to_owned(), portal);
        Ok(rows)
    }
}

fn no_portal(name: &str) -> Problem {
    Problem::new("34000", format!("cursor \"{name}\" does not exist"))
}
