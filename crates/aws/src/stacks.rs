//! CloudFormation: what a stack would become, what becomes of it, and why it did not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::Region;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{
    Capability, ChangeSetStatus, ChangeSetType, EventFilter, EventType, Parameter as SdkParameter,
};
use event::Timestamp;
use pipeline::service::CallError;

use crate::access::Account;
use crate::date::UserAgent;
use crate::edge::Edge;
use crate::error::{AwsError, classify};

/// The longest template that is sent with a request; a longer one has to lie in a bucket.
pub const BODY_MAX: usize = 51_200;
/// How often a change set that is being made is looked at, and for how long.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: usize = 300;
/// The most pages of events: what a stack of hundreds of resources says of one change.
const PAGES: usize = 20;

/// Stacks of an account in a region.
#[derive(Clone)]
pub struct Stacks {
    client: Client,
    edge: Arc<Edge>,
}

impl fmt::Debug for Stacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its client would show what its credentials come from.
        f.debug_struct("Stacks").finish_non_exhaustive()
    }
}

/// A stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Its ARN, which is one stack's for ever.
    pub id: String,
    /// Such as `CREATE_COMPLETE`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// Its parameters, by name.
    pub parameters: Vec<(String, String)>,
    /// Its outputs, by name.
    pub outputs: Vec<(String, String)>,
}

impl Stack {
    /// An output.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<&str> {
        self.outputs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter's value.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether something is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS")
    }

    /// Whether it could not be made or not be deleted: it can only be deleted then, and never be updated.
    #[must_use]
    pub fn is_left_over(&self) -> bool {
        let status = self.status.as_str();
        matches!(status, "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "DELETE_FAILED")
    }

    /// Whether what was under way went well.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        matches!(self.status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE")
    }
}

/// Where a template is.
#[derive(Debug, Clone, Copy)]
pub enum Template<'a> {
    /// Here, at most [`BODY_MAX`] bytes.
    Body(&'a str),
    /// In a bucket.
    Url(&'a str),
}

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// This one.
    Given(String),
    /// The one that the stack has.
    Kept,
}

/// One resource that would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `Add`, `Modify`, `Remove`, `Import`.
    pub action: String,
    /// Its name in the template.
    pub name: String,
    /// What the service calls it, where it is there already.
    pub physical: String,
    /// Such as `AWS::DynamoDB::Table`.
    pub kind: String,
    /// Whether it is made anew, and what it held is lost.
    pub is_replaced: bool,
}

/// What a stack would become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    id: String,
    /// Whether the stack is not there yet.
    pub is_new: bool,
    /// What would change; nothing where it is empty.
    pub changes: Vec<Change>,
}

/// What happened to a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackEvent {
    /// Its own id.
    pub id: String,
    /// When.
    pub at: Option<Timestamp>,
    /// The resource's name in the template.
    pub name: String,
    /// Such as `AWS::DynamoDB::Table`.
    pub kind: String,
    /// Such as `CREATE_FAILED`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
}

impl StackEvent {
    /// Whether the reason is only that there are reasons, which [`Stacks::objections`] says.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.reason.as_deref().is_some_and(is_elsewhere)
    }

    /// Whether something failed here, and not because something else did.
    #[must_use]
    pub fn is_cause(&self) -> bool {
        let reason = self.reason.as_deref().unwrap_or_default();
        self.status.ends_with("_FAILED") && !reason.contains("cancelled")
    }
}

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name in the template.
    pub name: String,
    /// What the service calls it.
    pub physical: String,
    /// Such as `AWS::DynamoDB::Table`.
    pub kind: String,
    /// Such as `DELETE_FAILED`.
    pub status: String,
}

impl Resource {
    /// Whether it is there, and the stack's: what was never made is listed, too, by the name of what may be somebody else's,
    /// and so may be what the stack let go of.
    #[must_use]
    pub fn is_there(&self) -> bool {
        !["CREATE_FAILED", "DELETE_COMPLETE", "DELETE_SKIPPED"].contains(&self.status.as_str())
    }
}

/// A parameter that a template takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it is where nothing is given.
    pub default: Option<String>,
}

impl Account {
    /// Stacks in a region, or in that of the credentials. Asks nothing yet.
    #[must_use]
    pub fn stacks(&self, region: Option<&str>) -> Stacks {
        let mut config = aws_sdk_cloudformation::config::Builder::from(&self.config).interceptor(UserAgent);
        if let Some(region) = region {
            config = config.region(Region::new(region.to_owned()));
        }
        Stacks { client: Client::from_conf(config.build()), edge: Arc::clone(&self.edge) }
    }
}

/// Makes a call.
macro_rules! call {
    ($stacks:expr, $permission:literal, $call:expr) => {
        $stacks
            .edge
            .attempt(async { $call.send().await.map_err(|error| classify($permission, &error)) })
            .map_err(|source| AwsError::Call { call: $permission, source })
    };
}

impl Stacks {
    /// A stack; none where it is not there.
    ///
    /// # Errors
    /// [`AwsError`].
    pub fn find(&self, name: &str) -> Result<Option<Stack>, AwsError> {
        let found = match call!(self, "cloudformation:DescribeStacks", self.client.describe_stacks().stack_name(name)) {
            Ok(found) => found,
            Err(AwsError::Call { source: CallError::Refused(said), .. }) if said.contains("does not exist") => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        Ok(found.stacks.unwrap_or_default().into_iter().next().map(|stack| Stack {
            id: stack.stack_id.unwrap_or_default(),
            status: stack.stack_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
            reason: stack.stack_status_reason,
            parameters: stack
                .parameters
                .unwrap_or_default()
                .into_iter()
                .filter_map(|parameter| Some((parameter.parameter_key?, parameter.parameter_value?)))
                .collect(),
            outputs: stack
                .outputs
                .unwrap_or_default()
                .into_iter()
                .filter_map(|output| Some((output.output_key?, output.output_value?)))
                .collect(),
        }))
    }

    /// The parameters that a template takes; so it is known to be one.
    ///
    /// # Errors
    /// [`AwsError`]: also where it is none.
    pub fn parameters(&self, template: Template<'_>) -> Result<Vec<Parameter>, AwsError> {
        let call = self.client.get_template_summary();
        let call = match template {
            Template::Body(body) => call.template_body(body),
            Template::Url(url) => call.template_url(url),
        };
        let parameters = call!(self, "cloudformation:GetTemplateSummary", call)?.parameters.unwrap_or_default();
        let parameter = |parameter: aws_sdk_cloudformation::types::ParameterDeclaration| {
            Some(Parameter { name: parameter.parameter_key?, default: parameter.default_value })
        };
        Ok(parameters.into_iter().filter_map(parameter).collect())
    }

    /// Finds out what a stack would become, without changing anything. With `adopts`, resources that are there already are
    /// taken up, if the template spells their names out and retains them.
    ///
    /// # Errors
    /// [`AwsError`].
    pub fn propose(
        &self,
        name: &str,
        template: Template<'_>,
        parameters: &[(String, Value)],
        adopts: bool,
        proposal: &str,
    ) -> Result<Proposal, AwsError> {
        // What a change set alone made of a stack that is not there is none yet.
        let is_new = self.find(name)?.is_none_or(|stack| stack.status == "REVIEW_IN_PROGRESS");
        let parameter = |(name, value): &(String, Value)| {
            let parameter = SdkParameter::builder().parameter_key(name);
            match value {
                Value::Given(value) => parameter.parameter_value(value),
                Value::Kept => parameter.use_previous_value(true),
            }
            .build()
        };
        let mut create = self
            .client
            .create_change_set()
            .stack_name(name)
            .change_set_name(proposal)
            .change_set_type(if is_new { ChangeSetType::Create } else { ChangeSetType::Update })
            .capabilities(Capability::CapabilityNamedIam)
            .set_import_existing_resources(adopts.then_some(true))
            // Without tags: CloudFormation would put a stack's on every resource, and the deployer may tag none.
            .set_parameters(Some(parameters.iter().map(parameter).collect()));
        create = match template {
            Template::Body(body) => create.template_body(body),
            Template::Url(url) => create.template_url(url),
        };
        let id = call!(self, "cloudformation:CreateChangeSet", create)?.id.unwrap_or_default();
        let (mut changes, mut token) = (Vec::new(), None);
        for _ in 0..LOOKS {
            let describe = self.client.describe_change_set().change_set_name(&id).stack_name(name);
            let found = call!(self, "cloudformation:DescribeChangeSet", describe.set_next_token(token.take()))?;
            match found.status {
                Some(ChangeSetStatus::CreateComplete) => {}
                Some(ChangeSetStatus::Failed) => {
                    let mut reason = found.status_reason.unwrap_or_default();
                    if is_elsewhere(&reason) {
                        for StackEvent { name, kind, reason: said, .. } in self.objections(name, Some(&id))? {
                            reason.push_str(&format!("; {name} ({kind}): {}", said.unwrap_or_default()));
                        }
                    }
                    self.withdraw(&Proposal { id, is_new, changes: Vec::new() })?;
                    let is_empty = ["didn't contain changes", "No updates are to be performed"];
                    if is_empty.iter().any(|words| reason.contains(words)) {
                        return Ok(Proposal { id: String::new(), is_new, changes: Vec::new() });
                    }
                    let source = CallError::Refused(reason);
                    return Err(AwsError::Call { call: "cloudformation:CreateChangeSet", source });
                }
                _ => {
                    self.edge.run(tokio::time::sleep(LOOK));
                    continue;
                }
            }
            changes.extend(found.changes.unwrap_or_default().into_iter().filter_map(change));
            token = found.next_token;
            if token.is_none() {
                return Ok(Proposal { id, is_new, changes });
            }
        }
        let source = CallError::Unavailable("the change set is not made in time".to_owned());
        Err(AwsError::Call { call: "cloudformation:DescribeChangeSet", source })
    }

    /// Begins what was proposed.
    ///
    /// # Errors
    /// [`AwsError`].
    pub fn execute(&self, proposal: &Proposal) -> Result<(), AwsError> {
        call!(self, "cloudformation:ExecuteChangeSet", self.client.execute_change_set().change_set_name(&proposal.id))?;
        Ok(())
    }

    /// Forgets what was proposed.
    ///
    /// # Errors
    /// [`AwsError`].
    pub fn withdraw(&self, proposal: &Proposal) -> Result<(), AwsError> {
        call!(self, "cloudformation:DeleteChangeSet", self.client.delete_change_set().change_set_name(&proposal.id))?;
        Ok(())
    }

    /// What happened to a stack, the oldest first, behind the event with this id.
    ///
    /// # Errors
    /// [`AwsError`].
    pub fn events(&self, stack: &str, after: Option<&str>) -> Result<Vec<StackEvent>, AwsError> {
        let (mut found, mut token) = (Vec::new(), None);
        'pages: for _ in 0..PAGES {
            let call = self.client.describe_stack_events().stack_name(stack).set_next_token(token.take());
            let page = call!(self, "cloudformation:DescribeStackEvents", call)?;
            for event in page.stack_events.unwrap_or_default() {
                let id = event.event_id.unwrap_or_default();
                if after == Some(id.as_str()) {
                    break 'pages;
                }
                found.push(StackEvent {
                    id,
                    at: event.timestamp.and_then(|time| Timestamp::from_seconds(time.secs())),
                    name: event.logical_resource_id.unwrap_or_default(),
                    kind: event.resource_type.unwrap_or_default(),
                    status: event.resource_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
                    reason: event.resource_status_reason,
                });
            }
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        found.reverse();
        Ok(found)
    }

    /// What CloudFormation found wrong before it made anything: in the newest operation of a stack, or in a change set of it.
    ///
    /// # Errors
    /// [`AwsError`].
    pub fn objections(&self, stack: &str, proposal: Option<&str>) -> Result<Vec<StackEvent>, AwsError> {
        let (mut found, mut token) = (Vec::new(), None);
        for _ in 0..PAGES {
            let call = self.client.describe_events().stack_name(stack).set_change_set_name(proposal.map(str::to_owned));
            let call = call.filters(EventFilter::builder().failed_events(true).build()).set_next_token(token.take());
            let page = call!(self, "cloudformation:DescribeEvents", call)?;
            found.extend(page.operation_events.unwrap_or_default());
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        found.retain(|event| event.event_type == Some(EventType::ValidationError));
        let newest = found.iter().max_by_key(|event| event.timestamp.map(|time| time.secs()));
        let newest = newest.and_then(|event| event.operation_id.clone());
        let of_newest = found.into_iter().filter(|event| event.operation_id == newest);
        Ok(of_newest
            .map(|event| StackEvent {
                id: event.event_id.unwrap_or_default(),
                at: event.timestamp.and_then(|time| Timestamp::from_seconds(time.secs())),
                name: event.logical_resource_id.unwrap_or_default(),
                kind: event.resource_type.unwrap_or_default(),
                status: "VALIDATION_FAILED".to_owned(),
                reason: event.validation_status_reason,
            })
            .collect())
    }

    /// What a stack is made of.
    ///
    /// # Errors
    /// [`AwsError`].
    pub fn resources(&self, stack: &str) -> Result<Vec<Resource>, AwsError> {
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let call = self.client.list_stack_resources().stack_name(stack).set_next_token(token.take());
            let page = call!(self, "cloudformation:ListStackResources", call)?;
            found.extend(page.stack_resource_summaries.unwrap_or_default().into_iter().map(|resource| Resource {
                name: resource.logical_resource_id.unwrap_or_default(),
                physical: resource.physical_resource_id.unwrap_or_default(),
                kind: resource.resource_type.unwrap_or_default(),
                status: resource.resource_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
            }));
            token = page.next_token;
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// Begins to delete a stack, and leaves these of its resources where they are.
    ///
    /// # Errors
    /// [`AwsError`].
    pub fn delete(&self, stack: &str, kept: &[String]) -> Result<(), AwsError> {
        let kept = (!kept.is_empty()).then(|| kept.to_vec());
        call!(
            self,
            "cloudformation:DeleteStack",
            self.client.delete_stack().stack_name(stack).set_retain_resources(kept)
        )?;
        Ok(())
    }
}

fn is_elsewhere(reason: &str) -> bool {
    reason.contains("DescribeEvents")
}

fn change(change: aws_sdk_cloudformation::types::Change) -> Option<Change> {
    let change = change.resource_change?;
    Some(Change {
        action: change.action?.as_str().to_owned(),
        name: change.logical_resource_id?,
        physical: change.physical_resource_id.unwrap_or_default(),
        kind: change.resource_type.unwrap_or_default(),
        is_replaced: change.replacement.is_some_and(|replacement| replacement.as_str() == "True"),
    })
}
