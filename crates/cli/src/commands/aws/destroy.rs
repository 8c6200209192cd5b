//! `trailhound aws destroy`.

use anyhow::bail;
use aws::{Resource, Stack, Stacks};

use super::follow::{Ended, explain, follow, last_event};
use super::{BUCKET, Place, buckets, confirm, deploy};
use crate::args::StackArgs;
use crate::exit::Exit;
use crate::output::plural;
use crate::session::Session;

/// A stack that is there.
struct Found {
    name: String,
    stack: Stack,
    resources: Vec<Resource>,
}

pub(super) fn run(session: &mut Session, arguments: &StackArgs, delete_data: bool, yes: bool) -> anyhow::Result<Exit> {
    let place = Place::open(session, arguments)?;
    let own = [
        (place.name.clone(), buckets::of_stack(&place.name, &place.account.id)),
        (place.artifacts_stack(), buckets::of_artifacts(&place)),
    ];
    let mut exit = Exit::Done;
    let (mut found, mut left) = (Vec::new(), Vec::new());
    for (name, own) in own {
        let mut inside = Vec::new();
        if let Some(stack) = place.stacks.find(&name)? {
            let resources: Vec<Resource> =
                place.stacks.resources(&name)?.into_iter().filter(Resource::is_there).collect();
            inside.extend(resources.iter().map(|resource| resource.physical.clone()));
            found.push(Found { name: name.clone(), stack, resources });
        }
        let behind = buckets::left(&place, &name, own, &inside)?;
        for error in behind.unknown {
            crate::complain(&format!("error: {error}"));
            exit = Exit::Failed;
        }
        let with_objects = delete_data || name == place.artifacts_stack();
        left.extend(behind.buckets.into_iter().map(|bucket| (bucket.name, with_objects)));
    }
    let mut elsewhere = Vec::new();
    for region in deploy::forward_from(&place, &[])? {
        let stacks = place.account.stacks(Some(&region));
        match stacks.find(&place.forwarder_stack()) {
            Ok(None) => {}
            Ok(Some(stack)) => elsewhere.push((region, stacks, stack.id)),
            // Others can be deleted all the same.
            Err(error) => {
                crate::complain(&format!(
                    "error: whether there is a forwarder in {region} cannot be found out: {error}"
                ));
                exit = Exit::Failed;
            }
        }
    }
    if found.is_empty() && elsewhere.is_empty() {
        session.out.line(&format!("there is no stack {} in {}", place.name, place.region))?;
        if left.is_empty() {
            return Ok(exit);
        }
    }
    found.iter().try_for_each(refuse_protected)?;
    for Found { name, resources, .. } in &found {
        session.out.line(&format!("{name}: {}", plural(resources.len() as u64, "resource", "resources")))?;
        let with_objects = delete_data || *name == place.artifacts_stack();
        for line in resources.iter().filter_map(|resource| fate(&resource.kind, &resource.physical, with_objects)) {
            session.out.line(&format!("  {line}"))?;
        }
    }
    if !left.is_empty() {
        session.out.line("left behind by a stack that has let go of them:")?;
        for line in left.iter().filter_map(|(name, with_objects)| fate(BUCKET, name, *with_objects)) {
            session.out.line(&format!("  {line}"))?;
        }
    }
    for (region, _, _) in &elsewhere {
        let forwarder = place.forwarder_stack();
        session.out.line(&format!("{forwarder}: the forwarder in {region}, and what its dead-letter queue holds"))?;
    }
    if !confirm(&format!("Delete this in account {}?", place.account.id), yes)? {
        session.out.line("nothing was deleted")?;
        return Ok(Exit::Done);
    }
    let quiet = session.global.quiet;
    for (region, stacks, id) in &elsewhere {
        match delete(&place, stacks, id, true)? {
            None => return Ok(Exit::Interrupted),
            Some(kept) if kept.is_empty() => session.out.line(&format!("the forwarder in {region} is deleted"))?,
            Some(_) => exit = Exit::Failed,
        }
    }
    for Found { name, stack, resources } in &found {
        let Some(kept) = delete(&place, &place.stacks, &stack.id, quiet)? else { return Ok(Exit::Interrupted) };
        for resource in kept.iter().filter(|resource| resource.kind != BUCKET) {
            session.out.line(&format!("stays: {} {}", resource.kind, resource.physical))?;
            exit = Exit::Failed;
        }
        session.out.line(&format!("the stack {name} is deleted"))?;
        // Nothing puts anything into them any more.
        let with_objects = delete_data || *name == place.artifacts_stack();
        for bucket in resources.iter().filter(|resource| resource.kind == BUCKET) {
            exit = exit.max(delete_bucket(session, &place, &bucket.physical, with_objects)?);
        }
    }
    for (name, with_objects) in &left {
        exit = exit.max(delete_bucket(session, &place, name, *with_objects)?);
    }
    Ok(exit)
}

/// Refuses a stack whose tables DynamoDB would not delete: all else would be gone, and the tables nobody's.
fn refuse_protected(found: &Found) -> anyhow::Result<()> {
    let Found { name, stack, resources } = found;
    let tables = resources.iter().filter(|resource| resource.kind == "AWS::DynamoDB::Table");
    let tables: Vec<&str> = tables.map(|table| table.physical.as_str()).collect();
    if tables.is_empty() || stack.parameter("DeletionProtection") != Some("true") {
        return Ok(());
    }
    let lift = if stack.is_left_over() {
        format!("`aws dynamodb update-table --no-deletion-protection-enabled --table-name` for {}", tables.join(", "))
    } else {
        format!("`trailhound aws deploy --stack {name} --parameter DeletionProtection=false`")
    };
    bail!("the tables of the stack {name} are protected, so nothing was deleted: {lift} lifts that, then destroy again")
}

/// What becomes of a resource that holds something, or that somebody relies on.
fn fate(kind: &str, physical: &str, with_objects: bool) -> Option<String> {
    // The address of a queue and the ARN of a topic or a graph end with its name.
    let name = physical.rsplit(['/', ':']).next().unwrap_or(physical);
    Some(match kind {
        "AWS::DynamoDB::Table" => format!("lost: table {physical}"),
        BUCKET if with_objects => format!("lost: bucket {physical} and all in it"),
        BUCKET => format!("stays if anything is in it: bucket {physical}"),
        "AWS::CloudTrail::Trail" => format!("lost: trail {name}: it records nothing any more"),
        "AWS::Detective::Graph" => format!("lost: behavior graph {name}: what it has learnt cannot be had again"),
        "AWS::Logs::LogGroup" => format!("lost: log group {physical} and all in it"),
        "AWS::SQS::Queue" => format!("lost: queue {name} and the messages in it"),
        "AWS::SNS::Topic" => format!("lost: topic {name} and its subscriptions"),
        "AWS::Glue::Database" => format!("lost: database {physical}, its tables and views"),
        "AWS::Athena::WorkGroup" => format!("lost: workgroup {physical}, its saved queries and its history"),
        "AWS::KMS::Key" => format!("stays: key {physical}"),
        _ => return None,
    })
}

/// Deletes a bucket; one that should have gone and has not is a failure.
fn delete_bucket(session: &mut Session, place: &Place, name: &str, with_objects: bool) -> anyhow::Result<Exit> {
    if buckets::delete(session, place, name, with_objects)? {
        return Ok(Exit::Done);
    }
    let (exit, why) = match with_objects {
        true => (Exit::Failed, ""),
        false => (Exit::Done, ": `deploy` takes it up again, --delete-data deletes it with all in it"),
    };
    session.out.line(&format!("stays: {BUCKET} {name}{why}"))?;
    Ok(exit)
}

/// Deletes a stack; what cannot be deleted stays and is returned. None where the user has seen enough.
pub(super) fn delete(place: &Place, stacks: &Stacks, id: &str, quiet: bool) -> anyhow::Result<Option<Vec<Resource>>> {
    let mut kept: Vec<Resource> = Vec::new();
    // What stays is known only when deleting it has failed; then it is left out of the next try.
    for _ in 0..4 {
        let after = last_event(stacks, id)?;
        let names: Vec<String> = kept.iter().map(|resource| resource.name.clone()).collect();
        stacks.delete(id, &names)?;
        match follow(place, stacks, id, after, quiet)? {
            Ended::Well => return Ok(Some(kept)),
            Ended::Interrupted => return Ok(None),
            Ended::Badly(_, mut causes) => {
                // S3 refuses to delete one that is not empty, which an older template lets CloudFormation try.
                causes.retain(|cause| cause.kind != BUCKET);
                for line in explain(&causes) {
                    crate::complain(&line);
                }
                let failed = stacks.resources(id)?.into_iter().filter(|resource| resource.status == "DELETE_FAILED");
                kept = failed.collect();
                if kept.is_empty() {
                    break;
                }
            }
        }
    }
    bail!("the stack {id} cannot be deleted: its events in CloudFormation say why")
}
