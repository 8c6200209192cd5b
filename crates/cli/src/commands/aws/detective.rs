//! Amazon Detective: what became of invitations, and `trailhound aws accept-detective`.

use aws::{Member, TrailBucket};
use pipeline::escape::terminal;

use super::{Place, confirm, own_account};
use crate::args::SideArgs;
use crate::exit::{Exit, usage};
use crate::session::Session;

/// The members of the stack's graph, and what is missing of them.
pub(super) fn members(place: &Place, graph: &str, missing: &mut Vec<String>) -> Vec<Member> {
    let members = match place.account.detective(None).members(graph) {
        Ok(members) => members,
        Err(error) => {
            missing.push(format!("the members of Detective: {error}"));
            return Vec::new();
        }
    };
    missing.extend(members.iter().filter_map(trouble));
    members
}

/// What keeps a member's data from the graph.
fn trouble(member: &Member) -> Option<String> {
    let said = match member.status.as_str() {
        "ENABLED" => return None,
        "INVITED" => {
            "invited, and has not accepted: `trailhound aws accept-detective` with its own credentials".to_owned()
        }
        "VERIFICATION_IN_PROGRESS" => "invited, and its e-mail address is being verified".to_owned(),
        "VERIFICATION_FAILED" => "its e-mail address is not that of the account's root user".to_owned(),
        "ACCEPTED_BUT_DISABLED" => {
            let reason = member.disabled_reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("accepted, and its data are not taken in{reason}")
        }
        other => other.to_owned(),
    };
    Some(format!("account {} in Detective: {said}", member.account_id))
}

pub(super) fn accept(session: &mut Session, graph: Option<&str>, side: &SideArgs, yes: bool) -> anyhow::Result<Exit> {
    let (account, _) = own_account(session, side)?;
    let region = TrailBucket::region_of(&account);
    let detective = account.detective(None);
    let invitations = detective.invitations()?;
    let is_meant = |member: &&Member| graph.is_none_or(|graph| member.graph_arn == graph);
    let open: Vec<&Member> = invitations.iter().filter(|member| member.is_open()).filter(is_meant).collect();
    let invitation = match open[..] {
        [] => {
            let Some(member) = invitations.iter().find(is_meant) else {
                let whose = graph.map(|graph| format!(" to {graph}")).unwrap_or_default();
                return Err(usage(format!(
                    "account {} has no invitation{whose} in {region}: an invitation is for one region",
                    account.id
                )));
            };
            let state = trouble(member).unwrap_or_else(|| format!("account {} is a member already", account.id));
            session.out.line(&terminal(&state))?;
            return Ok(if member.is_enabled() { Exit::Done } else { Exit::Found });
        }
        [one] => one,
        _ => {
            let graphs: Vec<&str> = open.iter().map(|member| member.graph_arn.as_str()).collect();
            return Err(usage(format!(
                "there is more than one invitation; say which with --graph: {}",
                graphs.join(", ")
            )));
        }
    };
    let Member { administrator_id, graph_arn, .. } = invitation;
    let question =
        format!("Let account {administrator_id} see the activity of account {} in its graph {graph_arn}?", account.id);
    if !confirm(&terminal(&question), yes)? {
        session.out.line("nothing was accepted")?;
        return Ok(Exit::Done);
    }
    detective.accept(graph_arn)?;
    session.out.line(&terminal(&format!("account {} is a member of {graph_arn}", account.id)))?;
    Ok(Exit::Done)
}
