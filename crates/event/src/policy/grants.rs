//! What an identity policy grants: everything, all of IAM, all of STS, or as good as that.
//!
//! # Definition
//! An action is **covered** if a statement allows it on every resource of the kind it works on, and no statement reliably
//! denies it.
//! - *Every resource*: one pattern of `Resource` matches all of them, as `*`, `arn:aws:iam::*:*`, `arn:*` or, for an action on
//!   users, `arn:aws:iam::111122223333:user/*`. A literal account or partition is taken for one's own, and so are the policy
//!   variables that stand for the caller's (`${aws:PrincipalAccount}`). Fields that an ARN leaves out match everything, as
//!   AWS has it. With `NotResource` it is enough that no pattern takes all resources out again. An `Allow` without any
//!   resource counts as `*`.
//! - *Conditions* on an `Allow` are taken as met; a grant that hangs on them is marked [`Grant::conditional`].
//! - *Reliably denied*: `Deny` without a condition and without `NotResource`, on every resource, with no account or partition
//!   taken for one's own. Any other `Deny` may leave a way open and takes nothing away.
//!
//! A class is granted in [`Extent`]s, so that leaving out something harmless does not hide the rest. Named actions of all
//! kinds add up: `iam:A*`, `iam:B*`, … in several statements grant what `iam:*` grants.
//!
//! One covered action is enough where a single call of it makes an administrator (`iam:AttachUserPolicy`) and a wildcard or
//! `NotAction` selects it: `iam:Put*` amounts to `iam:*`. Named in full, such an action is a right somebody chose, and is no
//! class; [`escalating_actions`] tells it.

use std::borrow::Cow;
use std::ops::Range;

use super::actions::{Access, Action, COUNT, IAM, Kind, OTHER, STS};
use super::document::{Effect, Policy, Selection, Statement};
use super::pattern::{has_wildcard, matches, matches_bytes};

/// A set of actions that nobody should be granted unnoticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Every action of every service: `*`.
    Everything,
    /// `iam:*`
    Iam,
    /// `sts:*`
    Sts,
}

/// How much of a [`Class`] is granted. The later, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extent {
    /// At least nine in ten of the actions that change something, or of those that escalate privileges. Of
    /// [`Class::Everything`] also: four in five of what changes something in the services other than IAM and STS, whatever is
    /// granted of these two.
    Nearly,
    /// All actions that escalate privileges (for services other than IAM and STS: all that change something), or, by wildcard
    /// or `NotAction`, one of which a single call makes an administrator.
    Equivalent,
    /// All actions.
    Full,
}

/// A class of actions that a policy grants on all resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What is granted.
    pub class: Class,
    /// How much of it.
    pub extent: Extent,
    /// Is it granted, or granted to this extent, only while a `Condition` holds?
    pub conditional: bool,
    /// How many of the class's known actions are covered.
    pub covered: usize,
    /// How many known actions the class has.
    pub total: usize,
    /// Known actions of the class that are not covered.
    pub left_out: Vec<&'static str>,
}

/// Tells which classes an identity policy grants, by the definition above. [`Class::Everything`] stands alone: it includes the
/// others.
pub fn grants(policy: &Policy) -> Vec<Grant> {
    let covered = covered(policy, |_| true);
    let unconditionally = covered_unconditionally(policy, &covered);

    let grant = |class: Class| {
        let extent = class.extent(&covered)?;
        let left_out: Vec<_> =
            class.actions().filter(|&at| covered[at] == Covered::Not).map(|at| action(at).name).collect();
        let total = class.actions().len();
        Some(Grant {
            class,
            extent,
            conditional: class.extent(&unconditionally) < Some(extent),
            covered: total - left_out.len(),
            total,
            left_out,
        })
    };
    match grant(Class::Everything) {
        Some(everything) => vec![everything],
        None => [Class::Iam, Class::Sts].into_iter().filter_map(grant).collect(),
    }
}

/// The IAM and STS actions that the policy covers and with which its holder can give itself, or another, more rights. Few of
/// them are needed to become an administrator, so they are worth telling even where no class is granted.
pub fn escalating_actions(policy: &Policy) -> Vec<&'static str> {
    let covered = covered(policy, |_| true);
    let escalates = |&at: &usize| covered[at] != Covered::Not && action(at).access >= Access::Escalate;
    (0..COUNT).filter(escalates).map(|at| action(at).name).collect()
}

/// Is an action covered, and by what?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Covered {
    Not,
    /// By its whole name only.
    ByName,
    /// By a pattern with wildcards, or by being left out of a `NotAction`.
    Broadly,
}

/// For every known action: is it covered?
type Coverage = [Covered; COUNT];

fn action(at: usize) -> &'static Action {
    let behind_iam = at.checked_sub(IAM.len());
    match behind_iam {
        None => &IAM[at],
        Some(at) if at < STS.len() => &STS[at],
        Some(at) => &OTHER[at - STS.len()],
    }
}

const IAM_ACTIONS: Range<usize> = 0..IAM.len();
const STS_ACTIONS: Range<usize> = IAM.len()..IAM.len() + STS.len();
const OTHER_ACTIONS: Range<usize> = IAM.len() + STS.len()..COUNT;

impl Class {
    fn actions(self) -> Range<usize> {
        match self {
            Self::Everything => 0..COUNT,
            Self::Iam => IAM_ACTIONS,
            Self::Sts => STS_ACTIONS,
        }
    }

    fn extent(self, covered: &Coverage) -> Option<Extent> {
        match self {
            // As far as its least granted part, so that it does not depend on how many actions of a part are known. But IAM
            // and STS are two services of hundreds: who has the rest has nearly everything.
            Self::Everything => {
                let rest = part_extent(OTHER_ACTIONS, covered)?;
                let parts = [part_extent(IAM_ACTIONS, covered), part_extent(STS_ACTIONS, covered), Some(rest)];
                Some(parts.into_iter().min().flatten().unwrap_or(Extent::Nearly))
            }
            Self::Iam | Self::Sts => part_extent(self.actions(), covered),
        }
    }
}

fn part_extent(part: Range<usize>, covered: &Coverage) -> Option<Extent> {
    let share = |wanted: fn(Access) -> bool| {
        let all = part.clone().filter(|&at| wanted(action(at).access));
        let (mut total, mut have) = (0, 0);
        for at in all {
            total += 1;
            have += usize::from(covered[at] != Covered::Not);
        }
        (have, total)
    };
    let (all, all_total) = share(|_| true);
    let (changing, changing_total) = share(|access| access != Access::Read);
    let (escalating, escalating_total) = match share(|access| access >= Access::Escalate) {
        (_, 0) => (changing, changing_total),
        some => some,
    };
    let takes_over = |at: usize| covered[at] == Covered::Broadly && action(at).access == Access::TakeOver;

    // Four in five for the many services, of which only some are known here.
    let enough = if part == OTHER_ACTIONS { 8 } else { 9 };
    let nearly = |(have, total)| have * 10 >= total * enough;
    if all == all_total {
        Some(Extent::Full)
    } else if escalating == escalating_total || part.clone().any(takes_over) {
        Some(Extent::Equivalent)
    } else if nearly((changing, changing_total)) || nearly((escalating, escalating_total)) {
        Some(Extent::Nearly)
    } else {
        None
    }
}

fn covered_unconditionally(policy: &Policy, covered_at_all: &Coverage) -> Coverage {
    let has_conditions = policy.statements.iter().any(|statement| !statement.conditions.is_empty());
    if has_conditions { covered(policy, |statement| statement.conditions.is_empty()) } else { *covered_at_all }
}

/// The actions that the wanted `Allow` statements and all `Deny` statements leave covered.
fn covered(policy: &Policy, wanted: impl Fn(&Statement) -> bool) -> Coverage {
    let mut covered = [Covered::Not; COUNT];
    for statement in policy.statements.iter().filter(|statement| statement.effect == Effect::Allow && wanted(statement))
    {
        let actions = Actions::of(&statement.actions);
        for (covered, action) in on_kinds(&mut covered, allowed_kinds(&statement.resources)) {
            if *covered == Covered::Broadly {
                continue;
            }
            if actions.selects_broadly(action) {
                *covered = Covered::Broadly;
            } else if actions.names(action) {
                *covered = Covered::ByName;
            }
        }
    }
    for statement in policy.statements.iter().filter(|statement| statement.effect == Effect::Deny) {
        let Some(kinds) = reliably_denied_kinds(statement) else { continue };
        let actions = Actions::of(&statement.actions);
        for (covered, action) in on_kinds(&mut covered, kinds) {
            if *covered != Covered::Not && (actions.names(action) || actions.selects_broadly(action)) {
                *covered = Covered::Not;
            }
        }
    }
    covered
}

/// The actions that work on one of these kinds, with their places in the coverage.
fn on_kinds(
    covered: &mut Coverage,
    kinds: [bool; Kind::ALL.len()],
) -> impl Iterator<Item = (&mut Covered, &'static str)> {
    let all = IAM.iter().chain(STS).chain(OTHER);
    let on_kind = move |(_, action): &(&mut Covered, &Action)| kinds[action.kind as usize];
    covered.iter_mut().zip(all).filter(on_kind).map(|(covered, action)| (covered, action.name))
}

/// The actions of a statement, by how they are selected.
struct Actions {
    /// Whole names.
    names: Vec<String>,
    /// Patterns with wildcards, and `NotAction`.
    broad: Selection,
}

impl Actions {
    fn of(actions: &Selection) -> Self {
        let (patterns, names) = usable(&actions.named).into_iter().partition(|pattern| has_wildcard(pattern));
        Self { names, broad: Selection { named: patterns, except: actions.except.as_deref().map(usable) } }
    }

    fn names(&self, action: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(action))
    }

    fn selects_broadly(&self, action: &str) -> bool {
        self.broad.selects_action(action)
    }
}

/// The patterns that can match an action at all, each run of stars made one. It keeps huge patterns from costing their length
/// once for each action.
fn usable(patterns: &[String]) -> Vec<String> {
    const LONGEST_ACTION: usize = 80;
    let fits = |pattern: &&String| pattern.bytes().filter(|&byte| byte != b'*').count() <= LONGEST_ACTION;
    let one_star = |pattern: &String| {
        let mut bytes = pattern.clone().into_bytes();
        bytes.dedup_by(|next, before| *next == b'*' && *before == b'*');
        String::from_utf8(bytes).expect("only stars, which are one byte each, are gone")
    };
    patterns.iter().filter(fits).map(one_star).collect()
}

/// The kinds of which an `Allow` statement covers every resource.
fn allowed_kinds(resources: &Selection) -> [bool; Kind::ALL.len()] {
    if resources.is_absent() {
        return [true; Kind::ALL.len()];
    }
    let own: Vec<String> = resources.named.iter().map(|pattern| as_own(pattern)).collect();
    Kind::ALL.map(|kind| {
        let every_resource = any_resource(kind);
        let names_all = |pattern: &String| matches_bytes(pattern.as_bytes(), &every_resource, |a, b| a == b);
        let spared = |patterns: &Vec<String>| !patterns.iter().any(names_all);
        resources.named.iter().any(names_all)
            || own.iter().any(names_all)
            || resources.except.as_ref().is_some_and(spared)
    })
}

/// The kinds of which a `Deny` statement takes away every resource for certain. `None` if it may leave a way open.
fn reliably_denied_kinds(statement: &Statement) -> Option<[bool; Kind::ALL.len()]> {
    let for_everyone = statement.principals.is_empty() && statement.not_principals.is_empty();
    if !statement.conditions.is_empty() || statement.resources.except.is_some() || !for_everyone {
        return None;
    }
    Some(Kind::ALL.map(|kind| {
        let every_resource = any_resource(kind);
        let denied = |pattern: &String| matches_bytes(pattern.as_bytes(), &every_resource, |a, b| a == b);
        statement.resources.named.iter().any(denied)
    }))
}

/// An ARN that stands for every resource of a kind: account and name consist of a byte that no pattern can hold, so only
/// wildcards match them.
fn any_resource(kind: Kind) -> Vec<u8> {
    const ANY: &[u8] = &[0xFF; 64];
    let account = &ANY[..12];
    match kind.arn_resource() {
        None => [b"arn:aws:", &ANY[..8], b":", &ANY[..8], b":", account, b":", ANY].concat(),
        Some((head, named)) => {
            let name = if named { ANY } else { &[] };
            [b"arn:aws:iam::", account, b":", head.as_bytes(), name].concat()
        }
    }
}

/// Reads a resource pattern as one of the policy's own account: a partition that may be one's own becomes `aws`, and an
/// account that may be anybody's becomes `*`.
fn as_own(pattern: &str) -> String {
    let fields = arn_fields(pattern);
    if fields.len() < 6 && fields[0] != "arn" {
        return pattern.to_owned();
    }
    // AWS completes an ARN of fewer fields with wildcards (*IAM JSON policy elements: Resource*).
    let field = |at: usize| fields.get(at).copied().unwrap_or("*");
    let [arn, partition, service, region, account, resource] = std::array::from_fn(field);

    let partition = without_variable(partition, "aws:PrincipalPartition");
    let partition = if may_be_partition(&partition) { "aws" } else { &partition };
    let region = without_variable(region, "aws:RequestedRegion");
    let account = without_variable(account, "aws:PrincipalAccount");
    let account = without_variable(&account, "aws:ResourceAccount");
    let account = if may_be_account(&account) { "*" } else { &account };
    [arn, partition, service, &region, account, resource].join(":")
}

/// Splits at the colons outside of policy variables (`${aws:username}`), into six fields at most.
fn arn_fields(pattern: &str) -> Vec<&str> {
    let mut fields = Vec::with_capacity(6);
    let (mut start, mut at) = (0, 0);
    // Looked for once, however many braces nothing closes.
    let last_brace = pattern.rfind('}').unwrap_or(0);
    while fields.len() < 5 {
        let Some(found) = pattern[at..].find([':', '$']) else { break };
        let found = at + found;
        at = found + 1;
        if pattern[found..].starts_with(':') {
            fields.push(&pattern[start..found]);
            start = at;
        } else if pattern[at..].starts_with('{') && at < last_brace {
            at += pattern[at..].find('}').unwrap_or(0);
        }
    }
    fields.push(&pattern[start..]);
    fields
}

/// The text with `*` for a policy variable, which may have a default (`${aws:PrincipalAccount, '111122223333'}`). The names
/// of variables know no case.
fn without_variable<'a>(text: &'a str, name: &str) -> Cow<'a, str> {
    let mut pieces = text.split("${");
    let first = pieces.next().unwrap_or_default();
    let mut plain = String::new();
    for piece in pieces {
        let variable = piece.split_once('}').filter(|(variable, _)| {
            let variable = variable.split(',').next().unwrap_or_default();
            variable.trim().eq_ignore_ascii_case(name)
        });
        match variable {
            Some((_, behind)) => plain.extend(["*", behind]),
            None => plain.extend(["${", piece]),
        }
    }
    if plain.is_empty() { Cow::Borrowed(text) } else { Cow::Owned([first, &plain].concat()) }
}

/// May this pattern match one's own partition?
fn may_be_partition(pattern: &str) -> bool {
    const KNOWN: [&str; 8] =
        ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"];
    let is_literal = pattern.strip_prefix("aws-").is_some_and(|region| {
        !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    });
    is_literal || KNOWN.iter().any(|known| matches(pattern, known))
}

/// May this pattern match an account id?
fn may_be_account(pattern: &str) -> bool {
    let digits_and_wildcards = pattern.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*' || byte == b'?');
    let characters = pattern.bytes().filter(|&byte| byte != b'*').count();
    digits_and_wildcards && (characters == 12 || (characters < 12 && pattern.contains('*')))
}

#[cfg(test)]
#[path = "grants_tests.rs"]
mod tests;
