//! AWS: the only room that knows its SDKs.
//!
//! **Owns** credentials ([`Aws`], [`Account`]), where there is something to read ([`Account::regions`],
//! [`Aws::organization`]) and the adapters behind other rooms' ports: [`EventHistory`] for LookupEvents, [`TrailBucket`]
//! and [`TrailQueue`] for trails ([`TrailBucket`] and [`PublicKeys`] for integrity, too), [`Tables`] for the DynamoDB of a
//! deployment, [`Account::object_store`] for its lake, [`Topics`] for Amazon SNS, [`SecurityHub`] for its findings,
//! [`Secrets`] for Secrets Manager and Systems Manager; clients of Athena ([`athena`]), CloudFormation ([`Stacks`]),
//! Detective ([`Detective`]) and Lambda ([`Functions`]). **Must not** leak a type of an SDK, decide what is asked for, or try again what a port's caller
//! tries again itself.
//!
//! Read in this order: `access` (whose credentials), `error` (what AWS's refusals mean), `lookup` (one adapter whole),
//! `dynamo` (several that belong together), `signed` (calls without an SDK).

mod access;
pub mod athena;
mod bucket;
mod date;
mod detective;
mod discovery;
mod dynamo;
mod edge;
mod error;
mod evidence;
mod findings;
mod functions;
mod kept_alive;
mod keys;
mod lookup;
mod objects;
mod queue;
mod secrets;
mod signed;
mod stacks;
mod store;
mod topics;
mod trails;

pub use access::{Access, Account, Aws, Role};
pub use bucket::TrailBucket;
pub use detective::{Detective, Member};
pub use discovery::{Discovery, MemberRole, Wanted};
pub use dynamo::{AlertTable, ControlTable, EventTable, ExportTable, Exported, Position, Stored, TableNames, Tables};
pub use error::AwsError;
pub use findings::SecurityHub;
pub use functions::{Functions, LogLine};
pub use keys::PublicKeys;
pub use lookup::EventHistory;
pub use objects::Artifacts;
pub use queue::TrailQueue;
pub use secrets::Secrets;
pub use stacks::{BODY_MAX, Change, Parameter, Proposal, Resource, Stack, StackEvent, Stacks, Template, Value};
pub use topics::Topics;
pub use trails::{Delivers, Trail};
