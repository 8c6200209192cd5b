//! Policy documents in requests: read, and put in words.

use event::Event;
use event::policy::{Class, Extent, Grant, Policy, grants};

use crate::request::{Read, value};

/// The policy document in the first of these parameters that is there.
pub(crate) fn document(event: &Event<'_>, paths: &[&str]) -> Read<Policy> {
    for path in paths {
        match value(event, path) {
            Read::Absent => {}
            Read::Unreadable => return Read::Unreadable,
            Read::Known(value) => return Policy::from_value(value).map_or(Read::Unreadable, Read::Known),
        }
    }
    Read::Absent
}

/// What a policy grants that makes its holder an administrator, in words: `every IAM action (iam:*)`.
pub(crate) fn admin_grants(policy: &Policy) -> Option<String> {
    let grants: Vec<String> = grants(policy).iter().map(grant).collect();
    (!grants.is_empty()).then(|| grants.join(" and "))
}

fn grant(grant: &Grant) -> String {
    let pattern = match grant.class {
        Class::Everything => "*",
        Class::Iam => "iam:*",
        Class::Sts => "sts:*",
    };
    let extent = match grant.extent {
        Extent::Full => "",
        Extent::Equivalent => "what amounts to ",
        Extent::Nearly => "nearly all of ",
    };
    let condition = if grant.conditional { " under a condition" } else { "" };
    format!("{extent}{pattern}{condition}")
}
