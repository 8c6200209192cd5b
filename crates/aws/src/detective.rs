//! Amazon Detective, without its SDK: who was invited to a behavior graph, and the invited account's answer.

use std::fmt;
use std::time::Duration;

use pipeline::service::CallError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Account;
use crate::bucket::TrailBucket;
use crate::signed::{Operation, Signed};

/// One operation by its name and path.
macro_rules! operation {
    ($name:literal, $method:literal, $path:literal) => {
        Operation {
            permission: concat!("detective:", $name),
            service: "Detective",
            host: "api.detective",
            signed_for: Some("detective"),
            method: $method,
            path: $path,
            ..Operation::POST
        }
    };
}

/// <https://docs.aws.amazon.com/detective/latest/APIReference/API_ListMembers.html>
const MEMBERS: Operation<'_> = operation!("ListMembers", "POST", "/graph/members/list");
/// <https://docs.aws.amazon.com/detective/latest/APIReference/API_ListInvitations.html>
const INVITATIONS: Operation<'_> = operation!("ListInvitations", "POST", "/invitations/list");
/// <https://docs.aws.amazon.com/detective/latest/APIReference/API_AcceptInvitation.html>
const ACCEPT: Operation<'_> = operation!("AcceptInvitation", "PUT", "/invitation");

/// How long one call may take.
const LIMIT: Duration = Duration::from_secs(20);
/// A graph has 1,200 members at most, and a page 200 of them; an account's invitations are fewer.
const PAGES_MAX: usize = 20;

/// Detective of an account in a region.
pub struct Detective {
    signed: Signed,
    region: String,
}

impl fmt::Debug for Detective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detective").field("region", &self.region).finish_non_exhaustive()
    }
}

/// An account that was invited to a graph.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Member {
    /// The account.
    pub account_id: String,
    /// Whose graph it is.
    #[serde(default)]
    pub administrator_id: String,
    /// The graph.
    pub graph_arn: String,
    /// What became of the invitation: `INVITED`, `VERIFICATION_IN_PROGRESS`, `VERIFICATION_FAILED`, `ENABLED`,
    /// `ACCEPTED_BUT_DISABLED`.
    pub status: String,
    /// Why it is disabled, where it is: `VOLUME_TOO_HIGH` or `VOLUME_UNKNOWN`.
    #[serde(default)]
    pub disabled_reason: Option<String>,
}

impl Member {
    /// Whether its data flow into the graph.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.status == "ENABLED"
    }

    /// Whether the account has still to answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.status == "INVITED"
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default, alias = "MemberDetails", alias = "Invitations")]
    members: Vec<Member>,
    #[serde(default)]
    next_token: Option<String>,
}

impl Account {
    /// Detective in a region, or in that of the credentials. Asks nothing yet.
    #[must_use]
    pub fn detective(&self, region: Option<&str>) -> Detective {
        let region = region.map_or_else(|| TrailBucket::region_of(self), str::to_owned);
        Detective { signed: Signed::new(&self.edge, &self.config), region }
    }
}

impl Detective {
    /// Who was invited to a graph of this account.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn members(&self, graph: &str) -> Result<Vec<Member>, CallError> {
        self.pages(&MEMBERS, &json!({ "GraphArn": graph }))
    }

    /// The graphs that this account was invited to, those that it has accepted among them.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn invitations(&self) -> Result<Vec<Member>, CallError> {
        self.pages(&INVITATIONS, &json!({}))
    }

    /// Accepts the invitation to a graph: from then on its owner sees this account's activity.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn accept(&self, graph: &str) -> Result<(), CallError> {
        self.signed.call::<Value>(&ACCEPT, &self.region, &json!({ "GraphArn": graph }), LIMIT).map(|_| ())
    }

    fn pages(&self, operation: &Operation<'_>, request: &Value) -> Result<Vec<Member>, CallError> {
        let (mut all, mut request) = (Vec::new(), request.clone());
        for _ in 0..PAGES_MAX {
            let page: Page = self.signed.call(operation, &self.region, &request, LIMIT)?;
            all.extend(page.members);
            match page.next_token {
                Some(token) => request["NextToken"] = json!(token),
                None => return Ok(all),
            }
        }
        Err(CallError::Refused(format!("{} does not come to an end", operation.permission)))
    }
}
