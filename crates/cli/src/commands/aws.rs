//! `trailhound aws`: a deployment in an AWS account.

mod buckets;
mod cost;
mod deploy;
mod destroy;
mod detective;
mod follow;
mod functions;
mod logs;
pub(crate) mod status;

use std::io::{BufRead, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use aws::{Account, Artifacts, Aws, BODY_MAX, Stack, Stacks, Template, TrailBucket};

use crate::args::{AwsCommand, SideArgs, StackArgs};
use crate::commands::ingest::stop_on_interrupt_saying;
use crate::exit::{Exit, usage};
use crate::session::Session;

/// The templates that are deployed.
const TEMPLATE: &str = include_str!("../../../../deploy/trailhound.yaml");
const FORWARDER: &str = include_str!("../../../../deploy/forwarder.yaml");
const MEMBER: &str = include_str!("../../../../deploy/member.yaml");
/// The bucket that the functions and the template lie in, as a stack of its own.
const ARTIFACTS: &str = include_str!("aws/artifacts.json");
/// Where in that bucket.
const PREFIX: &str = "trailhound/";
/// What CloudFormation calls a bucket.
const BUCKET: &str = "AWS::S3::Bucket";
/// The longest name of a stack: with it every bucket that the template names has at most 63 characters.
const STACK_MAX: usize = 35;

pub(crate) fn run(session: &mut Session, command: &AwsCommand) -> anyhow::Result<Exit> {
    match command {
        AwsCommand::Deploy(arguments) => deploy::run(session, arguments),
        AwsCommand::Init(stack) => functions::init(session, stack),
        AwsCommand::Status { stack, format } => status::run(session, stack, *format),
        AwsCommand::Logs(arguments) => logs::run(session, arguments),
        AwsCommand::Invoke { function, payload, stack } => functions::invoke(session, *function, payload, stack),
        AwsCommand::Export { from, to, stack } => functions::export(session, from, to, stack),
        AwsCommand::Validate(stack) => validate(session, stack),
        AwsCommand::Cost { stack, events_per_month, parameters } => {
            cost::run(session, stack, *events_per_month, parameters)
        }
        AwsCommand::TestAlerts(stack) => functions::test_alerts(session, stack),
        AwsCommand::AcceptDetective { graph, side, yes } => detective::accept(session, graph.as_deref(), side, *yes),
        AwsCommand::Destroy { stack, delete_data, yes } => destroy::run(session, stack, *delete_data, *yes),
    }
}

/// Where a deployment is.
struct Place {
    account: Account,
    region: String,
    name: String,
    stacks: Stacks,
    stop: Arc<AtomicBool>,
}

impl Place {
    fn open(session: &mut Session, arguments: &StackArgs) -> anyhow::Result<Place> {
        let name = arguments.stack.clone();
        let is_letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if name.is_empty()
            || name.len() > STACK_MAX
            || !name.starts_with(|first: char| first.is_ascii_lowercase())
            || !name.chars().all(is_letter)
        {
            let wanted = format!("at most {STACK_MAX} lower-case letters, digits and hyphens, a letter first");
            return Err(usage(format!("--stack {name:?}: a stack's name stands in the names of buckets: {wanted}")));
        }
        let (account, stop) = own_account(session, &arguments.side)?;
        let region = TrailBucket::region_of(&account);
        let stacks = account.stacks(None);
        Ok(Place { account, region, name, stacks, stop })
    }

    /// The stack, which has to be there.
    fn stack(&self) -> anyhow::Result<Stack> {
        let Place { name, region, account, .. } = self;
        let found = self.stacks.find(name)?;
        found.ok_or_else(|| {
            usage(format!(
                "there is no stack {name} in {region} of account {}: `trailhound aws deploy` makes one",
                account.id
            ))
        })
    }

    /// An output of the stack.
    fn output(&self, stack: &Stack, name: &str) -> anyhow::Result<String> {
        let found = stack.output(name).map(str::to_owned);
        found.with_context(|| format!("the stack {} ({}) has no output {name}", self.name, stack.status))
    }

    fn artifacts_stack(&self) -> String {
        format!("{}-artifacts", self.name)
    }

    fn forwarder_stack(&self) -> String {
        format!("{}-forwarder", self.name)
    }

    fn artifacts_bucket(&self) -> String {
        buckets::name_of_artifacts(&self.name, &self.account.id, &self.region)
    }

    fn artifacts(&self) -> anyhow::Result<Artifacts> {
        Ok(Artifacts::new(&self.account, &self.artifacts_bucket(), &self.region)?)
    }
}

/// The account of the credentials, and what is set by ctrl-C.
fn own_account(session: &mut Session, side: &SideArgs) -> anyhow::Result<(Account, Arc<AtomicBool>)> {
    session.profile.clone_from(&side.profile);
    session.region.clone_from(&side.region);
    let stop = stop_on_interrupt_saying(Some("what was begun goes on in AWS; the same command looks after it again"))?;
    let aws = Aws::open(&session.access(), Some(Arc::clone(&stop)))?;
    Ok((aws.own()?, stop))
}

/// The name that something has by what it holds.
fn content_name(content: &[u8]) -> String {
    integrity::hash::Sha256::of(content).to_string()[..16].to_owned()
}

/// Asks a question whose answer is yes, or not.
fn confirm(question: &str, is_given: bool) -> anyhow::Result<bool> {
    if is_given {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Err(usage(format!("{question} Nobody can be asked here: say --yes")));
    }
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn validate(session: &mut Session, arguments: &StackArgs) -> anyhow::Result<Exit> {
    let place = Place::open(session, arguments)?;
    let mut exit = Exit::Done;
    for (name, text) in [("forwarder.yaml", FORWARDER), ("member.yaml", MEMBER), ("trailhound.yaml", TEMPLATE)] {
        let key = format!("{PREFIX}{name}-{}", content_name(text.as_bytes()));
        let bucket = place.artifacts()?;
        let url = bucket.url(&key);
        let template = if text.len() <= BODY_MAX {
            Template::Body(text)
        } else if place.stacks.find(&place.artifacts_stack())?.is_some() {
            bucket.put(&key, text.as_bytes().to_vec())?;
            Template::Url(&url)
        } else {
            session.out.line(&format!(
                "{name} is not checked: it is too long for a request, and the bucket that it would be read from is made by \
                 `trailhound aws deploy`"
            ))?;
            exit = Exit::Rejected;
            continue;
        };
        let parameters = place.stacks.parameters(template).with_context(|| format!("{name} is refused"))?;
        session.out.line(&format!("{name} is a template with {} parameters", parameters.len()))?;
    }
    Ok(exit)
}
