//! `trailhound aws deploy`.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use aws::{Artifacts, Change, Delivers, Proposal, Resource, Stack, Stacks, Template, Value};
use local::SystemClock;
use pipeline::store::Clock;

use super::follow::{Ended, advised, explain, follow, last_event};
use super::{ARTIFACTS, BUCKET, FORWARDER, PREFIX, Place, TEMPLATE};
use super::{buckets, confirm, content_name, destroy, functions};
use crate::args::{Architecture, DeployArgs, FunctionName};
use crate::exit::{Exit, usage};
use crate::output::plural;
use crate::session::Session;

/// What the functions reserve of the account's concurrency, and what Lambda leaves unreserved in any case.
const RESERVED: u64 = 7;
const UNRESERVED_MIN: u64 = 100;

pub(super) fn run(session: &mut Session, arguments: &DeployArgs) -> anyhow::Result<Exit> {
    let given = given(&arguments.parameters)?;
    let functions = Functions::find(arguments)?;
    let place = Place::open(session, &arguments.stack)?;
    let quiet = session.global.quiet;
    // What was only ever proposed is not there.
    let before = place.stacks.find(&place.name)?.filter(|stack| stack.status != "REVIEW_IN_PROGRESS");
    if let Some(stack) = &before {
        check_state(&place.name, &place.region, stack)?;
    }
    let has_exporter = functions.files.contains_key(&FunctionName::Exporter);
    let is_asked_for = given.get("EnableAnalytics").map(String::as_str);
    // By default there are analytics, but for a stack that is made without an exporter.
    let has_analytics = match (is_asked_for, &before) {
        (Some(asked), _) => asked != "false",
        (None, Some(stack)) => stack.parameter("EnableAnalytics") != Some("false"),
        (None, None) => has_exporter,
    };
    if has_analytics && !has_exporter {
        return Err(usage(format!(
            "analytics want the exporter, and exporter-{}-{}.zip is not beside the others: package it too, or say \
             --parameter EnableAnalytics=false",
            functions.architecture.as_str(),
            functions.version
        )));
    }
    // The bucket for the functions comes first: nothing of it costs anything.
    if let ControlFlow::Break(exit) = artifacts(session, &place, arguments.yes)? {
        return Ok(exit);
    }
    let bucket = place.artifacts()?;
    for (name, path) in &functions.files {
        let key = functions.key(*name);
        if !bucket.has(&key)? {
            let zip = std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
            crate::complain(&format!("uploading {} ({})", key, crate::output::bytes(zip.len() as u64)));
            bucket.put(&key, zip)?;
        }
    }
    // Buckets that a switch or an earlier stack of this name has left there are taken up again.
    let inside = before.as_ref().map_or(Ok(Vec::new()), |stack| buckets_in(&place, stack))?;
    let own = buckets::of_stack(&place.name, &place.account.id);
    let left = buckets::left(&place, &place.name, own, &inside)?;
    left.unknown.iter().for_each(|error| crate::note(error));
    let text = buckets::adopting(TEMPLATE, &left.buckets);
    let key = format!("{PREFIX}template-{}.yaml", content_name(text.as_bytes()));
    if !bucket.has(&key)? {
        bucket.put(&key, text.into_bytes())?;
    }
    let url = bucket.url(&key);
    let template = Template::Url(&url);
    let taken = place.stacks.parameters(template).map_err(advised)?;
    if let Some(name) = given.keys().find(|name| !taken.iter().any(|parameter| parameter.name == **name)) {
        let mut names: Vec<&str> = taken.iter().map(|parameter| parameter.name.as_str()).collect();
        names.sort_unstable();
        return Err(usage(format!("--parameter {name}: there is no such parameter; there are {}", names.join(", "))));
    }
    let mut values: BTreeMap<String, Value> = BTreeMap::new();
    for (name, _) in before.iter().flat_map(|stack| &stack.parameters) {
        if taken.iter().any(|parameter| parameter.name == *name) {
            values.insert(name.clone(), Value::Kept);
        }
    }
    let ours = [
        ("ArtifactBucket", place.artifacts_bucket()),
        ("ArtifactPrefix", PREFIX.to_owned()),
        ("CodeVersion", functions.version.clone()),
        ("Architecture", functions.architecture.as_str().to_owned()),
    ];
    values.extend(ours.map(|(name, value)| (name.to_owned(), Value::Given(value))));
    if before.is_none() {
        let chosen = chosen(&place, &given, has_exporter).into_iter();
        values.extend(chosen.map(|(name, value)| (name.to_owned(), Value::Given(value))));
    }
    values.extend(given.iter().map(|(name, value)| (name.clone(), Value::Given(value.clone()))));
    let values: Vec<(String, Value)> = values.into_iter().collect();
    let proposal = place.stacks.propose(&place.name, template, &values, !left.buckets.is_empty(), &change_set());
    let proposal = proposal.map_err(advised)?;
    if proposal.changes.is_empty() {
        session.out.line(&format!("nothing changes in the stack {}", place.name))?;
    } else {
        tell(session, &proposal)?;
        let lost: Vec<&Change> = proposal.changes.iter().filter(|change| change.is_replaced).collect();
        let question = match lost.len() {
            0 => format!("Change the stack {} in {} of account {}?", place.name, place.region, place.account.id),
            _ => format!(
                "{} made anew, and what they hold is lost. Go on?",
                plural(lost.len() as u64, "resource is", "resources are")
            ),
        };
        if !confirm(&question, arguments.yes)? {
            place.stacks.withdraw(&proposal)?;
            session.out.line("nothing was changed")?;
            return Ok(Exit::Done);
        }
        match carry_out(&place, &place.stacks, &place.name, &proposal, quiet)? {
            None => return Ok(Exit::Interrupted),
            Some(Exit::Done) => {}
            Some(exit) => return Ok(exit),
        }
        name_let_go(session, &place, &inside)?;
    }
    let stack = place.stack()?;
    let failed = forwarders(session, &place, arguments, &stack)?;
    for (name, value) in &stack.outputs {
        session.out.line(&format!("{name:<28} {value}"))?;
    }
    let mut exit = if failed { Exit::Failed } else { Exit::Done };
    if proposal.is_new {
        if !arguments.yes && std::io::stdin().is_terminal() {
            let question =
                "Fill it now with what the event history holds? It takes minutes, or longer in many regions.";
            if confirm(question, false)? {
                exit = exit.max(functions::fill(session, &place, &stack)?);
                return Ok(exit);
            }
        }
        let given = &arguments.stack;
        let region = given.side.region.as_deref().map(|region| format!(" --region {region}")).unwrap_or_default();
        crate::note(&format!(
            "fill it with what the event history holds: trailhound aws init --stack {}{region}",
            place.name
        ));
    }
    Ok(exit)
}

/// Refuses a stack that cannot be changed as it is, before anything is made.
fn check_state(name: &str, region: &str, stack: &Stack) -> anyhow::Result<()> {
    let reason = stack.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match stack.status.as_str() {
        _ if stack.is_left_over() => bail!(
            "the stack {name} is left over ({}{reason}): `trailhound aws destroy --stack {name}` removes it, then deploy again",
            stack.status
        ),
        "UPDATE_ROLLBACK_FAILED" => bail!(
            "the stack {name} is stuck half way back ({}{reason}): mend what is named there, then `aws cloudformation \
             continue-update-rollback --stack-name {name} --region {region}`, with --resources-to-skip for what cannot \
             be mended; when it is UPDATE_ROLLBACK_COMPLETE, deploy again",
            stack.status
        ),
        _ if stack.is_busy() => {
            bail!("something is under way with the stack {name} ({}): wait until it is done", stack.status)
        }
        _ => Ok(()),
    }
}

/// The buckets that are in a stack.
fn buckets_in(place: &Place, stack: &Stack) -> anyhow::Result<Vec<String>> {
    let resources = place.stacks.resources(&stack.id)?.into_iter().filter(Resource::is_there);
    Ok(resources.filter(|resource| resource.kind == BUCKET).map(|resource| resource.physical).collect())
}

/// Names the buckets that were in the stack, are not any more, and are still there.
fn name_let_go(session: &mut Session, place: &Place, before: &[String]) -> anyhow::Result<()> {
    let now = buckets_in(place, &place.stack()?)?;
    for name in before.iter().filter(|name| !now.contains(name)) {
        // An older template lets CloudFormation delete an empty one.
        if !matches!(Artifacts::new(&place.account, name, &place.region)?.tags(), Ok(None)) {
            session.out.line(&format!(
                "stays: {BUCKET} {name}, which is taken up again when it is switched on; \
                 `trailhound aws destroy --stack {} --delete-data` deletes it",
                place.name
            ))?;
        }
    }
    Ok(())
}

/// What a new stack is given where nobody says otherwise.
fn chosen(place: &Place, given: &BTreeMap<String, String>, has_exporter: bool) -> BTreeMap<&'static str, String> {
    let is_open = |name: &str| !given.contains_key(name);
    let mut chosen = BTreeMap::new();
    if is_open("EnableAnalytics") && !has_exporter {
        crate::note(
            "there is no zip file of the exporter: the stack is made without analytics (EnableAnalytics=false)",
        );
        chosen.insert("EnableAnalytics", "false".to_owned());
    }
    if is_open("CreateTrail") && has_trail(place) {
        chosen.insert("CreateTrail", "false".to_owned());
    }
    // A region has each database once, and the template's name for it is that of the first stack.
    if is_open("AthenaDatabaseName") && place.name != "trailhound" {
        chosen.insert("AthenaDatabaseName", place.name.replace('-', "_"));
    }
    if is_open("ReserveConcurrency") && !has_room(place) {
        chosen.insert("ReserveConcurrency", "false".to_owned());
    }
    chosen
}

/// Whether Lambda lets the functions reserve what they would. Says so where it does not.
fn has_room(place: &Place) -> bool {
    match place.account.functions(Some(&place.region)).unreserved() {
        Ok(number) if number >= RESERVED + UNRESERVED_MIN => true,
        Ok(number) => {
            crate::note(&format!(
                "the account may run {number} functions at once here, which leaves nothing to reserve: \
                 ReserveConcurrency=false, until the quota is raised"
            ));
            false
        }
        Err(error) => {
            crate::note(&format!("whether concurrency can be reserved cannot be found out: {error}"));
            true
        }
    }
}

/// Whether there is a trail that makes EventBridge deliver changes already. Says so, and what is wrong with another.
fn has_trail(place: &Place) -> bool {
    let trails = match place.account.trails() {
        Ok(trails) => trails,
        Err(error) => {
            crate::note(&format!("whether there is a trail already cannot be found out: {error}"));
            return false;
        }
    };
    // The first delivers the most.
    let Some(trail) = trails.first() else { return false };
    let there = pipeline::escape::single_line(&trail.arn, 200);
    let but = match &trail.delivers {
        Delivers::All => "",
        Delivers::Changes => {
            "; it logs no management events that only read, so watched ones are found by the schedule alone"
        }
        Delivers::Unknown(error) => &format!("; whether it logs management events cannot be found out: {error}"),
        Delivers::Reads => "it logs no management events that change anything",
        Delivers::DataOnly => "it logs no management events",
        Delivers::Stopped => "it is stopped",
    };
    if trail.delivers.is_enough() {
        crate::note(&format!(
            "there is a trail already, {there}, and a second copy of management events is charged for: CreateTrail=false{but}"
        ));
    } else {
        crate::note(&format!(
            "there is a trail already, {there}, but {but}, and EventBridge delivers nothing by it: a trail is created"
        ));
    }
    trail.delivers.is_enough()
}

/// The parameters that flags give.
fn given(parameters: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
            usage(format!("--parameter {text}: it is NAME=VALUE, such as AlertsEmailAddress=security@example.com"))
        })?;
        if ["ArtifactBucket", "ArtifactPrefix", "CodeVersion", "Architecture"].contains(&name) {
            return Err(usage(format!("--parameter {name}: deploy fills it in itself")));
        }
        Ok((name.to_owned(), value.to_owned()))
    };
    parameters.iter().map(pair).collect()
}

/// A name for a change set: each stack has each name once.
fn change_set() -> String {
    format!("trailhound-{}", SystemClock.now().micros())
}

/// The functions' zip files.
struct Functions {
    files: BTreeMap<FunctionName, PathBuf>,
    architecture: Architecture,
    version: String,
}

impl Functions {
    fn find(arguments: &DeployArgs) -> anyhow::Result<Functions> {
        let folder = match &arguments.functions {
            Some(folder) => folder.clone(),
            None => std::env::current_exe()?.parent().unwrap_or(Path::new(".")).join("functions"),
        };
        let listed = std::fs::read_dir(&folder).map_err(|error| {
            let made = "`cargo xtask package lambda` makes them";
            usage(format!(
                "the functions' zip files are not in {} ({error}); name their folder with --functions; {made}",
                folder.display()
            ))
        })?;
        let mut names: Vec<String> = Vec::new();
        for entry in listed {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        let architectures = match arguments.architecture {
            Some(architecture) => vec![architecture],
            None => vec![Architecture::Arm64, Architecture::X86],
        };
        for architecture in architectures {
            let versions = names.iter().filter_map(|name| {
                let rest = name.strip_prefix("tracker-")?.strip_prefix(architecture.as_str())?.strip_prefix('-')?;
                rest.strip_suffix(".zip")
            });
            let version = match versions.collect::<Vec<_>>()[..] {
                [] => continue,
                [version] => version,
                ref versions => {
                    return Err(usage(format!(
                        "{} has the functions in {} versions ({}): leave one there",
                        folder.display(),
                        versions.len(),
                        versions.join(", ")
                    )));
                }
            };
            let file = |function: FunctionName| {
                let path = folder.join(format!("{}-{}-{version}.zip", function.as_str(), architecture.as_str()));
                path.is_file().then_some((function, path))
            };
            let files: BTreeMap<_, _> = FunctionName::ALL.into_iter().filter_map(file).collect();
            if !files.contains_key(&FunctionName::Alerter) {
                bail!("{} has the tracker of version {version}, and no alerter of that version", folder.display());
            }
            return Ok(Functions { files, architecture, version: version.to_owned() });
        }
        Err(usage(format!("there is no tracker-ARCHITECTURE-VERSION.zip in {}", folder.display())))
    }

    fn key(&self, function: FunctionName) -> String {
        format!("{PREFIX}{}-{}-{}.zip", function.as_str(), self.architecture.as_str(), self.version)
    }
}

/// Makes the bucket for the functions where it is missing, or ends there.
fn artifacts(session: &mut Session, place: &Place, yes: bool) -> anyhow::Result<ControlFlow<Exit>> {
    let name = place.artifacts_stack();
    let bucket = place.artifacts_bucket();
    let broken = match helper(place, &place.stacks, &place.region, &name)? {
        Helper::Interrupted => return Ok(ControlFlow::Break(Exit::Interrupted)),
        Helper::Missing => None,
        Helper::LeftOver(stack) => Some(stack),
        // Whoever may not ask for it may yet put something there.
        Helper::There(_) if !matches!(place.artifacts()?.tags(), Ok(None)) => return Ok(ControlFlow::Continue(())),
        Helper::There(stack) => {
            crate::complain(&format!("{bucket} is gone, and the stack {name} knows nothing of it: it is made again"));
            Some(stack)
        }
    };
    if !confirm(&format!("The functions need a bucket, {bucket}. Make it?"), yes)? {
        session.out.line("nothing was changed")?;
        return Ok(ControlFlow::Break(Exit::Done));
    }
    if let Some(stack) = broken
        && destroy::delete(place, &place.stacks, &stack.id, true)?.is_none()
    {
        return Ok(ControlFlow::Break(Exit::Interrupted));
    }
    let left = buckets::left(place, &name, buckets::of_artifacts(place), &[])?;
    left.unknown.iter().for_each(|error| crate::note(error));
    let text = buckets::adopting(ARTIFACTS, &left.buckets);
    let (template, adopts) = (Template::Body(&text), !left.buckets.is_empty());
    let parameters = [("BucketName".to_owned(), Value::Given(bucket))];
    let proposal = place.stacks.propose(&name, template, &parameters, adopts, &change_set()).map_err(advised)?;
    Ok(match carry_out(place, &place.stacks, &name, &proposal, true)? {
        Some(Exit::Done) => ControlFlow::Continue(()),
        ended => ControlFlow::Break(ended.unwrap_or(Exit::Interrupted)),
    })
}

/// A stack that helps the first: the one of the functions' bucket, or a forwarder.
enum Helper {
    Missing,
    There(Stack),
    /// It can only be deleted, which was told; it holds nothing that cannot be made again.
    LeftOver(Stack),
    /// The user has seen enough.
    Interrupted,
}

/// Looks for a stack that helps, and waits until nothing is under way with it.
fn helper(place: &Place, stacks: &Stacks, region: &str, name: &str) -> anyhow::Result<Helper> {
    loop {
        let found = stacks.find(name)?.filter(|stack| stack.status != "REVIEW_IN_PROGRESS");
        let Some(stack) = found else { return Ok(Helper::Missing) };
        if stack.is_left_over() {
            crate::complain(&format!("the stack {name} is left over ({}): it is deleted and made again", stack.status));
            return Ok(Helper::LeftOver(stack));
        }
        if !stack.is_busy() {
            check_state(name, region, &stack)?;
            return Ok(Helper::There(stack));
        }
        crate::complain(&format!("something is under way with the stack {name} ({}): waiting for it", stack.status));
        if let Ended::Interrupted = follow(place, stacks, &stack.id, last_event(stacks, &stack.id)?, true)? {
            return Ok(Helper::Interrupted);
        }
    }
}

/// Lets a proposal become true, and says why where it does not. None where the user has seen enough.
fn carry_out(
    place: &Place,
    stacks: &Stacks,
    name: &str,
    proposal: &Proposal,
    quiet: bool,
) -> anyhow::Result<Option<Exit>> {
    let after = last_event(stacks, name)?;
    stacks.execute(proposal)?;
    let id = stacks.find(name)?.map_or_else(|| name.to_owned(), |stack| stack.id);
    Ok(match follow(place, stacks, &id, after, quiet)? {
        Ended::Well => Some(Exit::Done),
        Ended::Interrupted => None,
        Ended::Badly(stack, mut causes) => {
            if causes.iter().any(aws::StackEvent::is_elsewhere) {
                match stacks.objections(&id, None) {
                    Ok(found) if found.is_empty() => {}
                    Ok(found) => causes = found,
                    Err(error) => crate::complain(&format!("what is wrong cannot be asked for: {error}")),
                }
            }
            let status = stack.as_ref().map_or("gone", |stack| &stack.status);
            crate::complain(&format!("error: the stack {name} is {status}"));
            if causes.is_empty() {
                let reason = stack.and_then(|stack| stack.reason).unwrap_or_default();
                crate::complain(&reason);
            }
            for line in explain(&causes) {
                crate::complain(&line);
            }
            Some(Exit::Failed)
        }
    })
}

/// Shows what would change.
fn tell(session: &mut Session, proposal: &Proposal) -> anyhow::Result<()> {
    for change in &proposal.changes {
        let Change { action, name, kind, physical, is_replaced } = change;
        let remark = match action.as_str() {
            _ if *is_replaced => "  made anew: what it holds is lost",
            _ if is_let_go(change) => &format!("  {physical} stays, with all that is in it"),
            "Import" => &format!("  {physical} is taken up again, with all that is in it"),
            _ => "",
        };
        session.out.line(&format!("{action:<8} {kind:<40} {name}{remark}"))?;
    }
    session.out.line(&plural(proposal.changes.len() as u64, "resource", "resources"))?;
    Ok(())
}

/// Whether a bucket is switched off.
fn is_let_go(change: &Change) -> bool {
    change.action == "Remove" && change.kind == BUCKET
}

/// Puts forwarders into the other regions. Returns whether one failed.
fn forwarders(session: &mut Session, place: &Place, arguments: &DeployArgs, stack: &Stack) -> anyhow::Result<bool> {
    let regions = forward_from(place, &arguments.forward_from)?;
    let name = place.forwarder_stack();
    if !has_alerts(stack) {
        return remove_forwarders(session, place, &regions);
    }
    // What they look for is what the stack looks for, by what it has now.
    let same = ["AlertSources", "WatchedActions"];
    let parameters: Vec<(String, Value)> = stack
        .parameters
        .iter()
        .filter(|(name, _)| same.contains(&name.as_str()))
        .chain([&("HomeRegion".to_owned(), place.region.clone())])
        .map(|(name, value)| (name.clone(), Value::Given(value.clone())))
        .collect();
    let mut failed = false;
    for region in regions {
        let stacks = place.account.stacks(Some(&region));
        let put = || -> anyhow::Result<Option<bool>> {
            // What only a person gives stays as it is.
            let has_topic = match helper(place, &stacks, &region, &name)? {
                Helper::Interrupted => return Ok(None),
                Helper::LeftOver(stack) if destroy::delete(place, &stacks, &stack.id, true)?.is_none() => {
                    return Ok(None);
                }
                Helper::LeftOver(_) | Helper::Missing => false,
                Helper::There(before) => before.parameter("AlarmTopicArn").is_some(),
            };
            let kept = has_topic.then(|| ("AlarmTopicArn".to_owned(), Value::Kept));
            let parameters: Vec<(String, Value)> = parameters.iter().cloned().chain(kept).collect();
            let proposal = stacks.propose(&name, Template::Body(FORWARDER), &parameters, false, &change_set());
            let proposal = proposal.map_err(advised)?;
            if proposal.changes.is_empty() {
                return Ok(Some(true));
            }
            Ok(carry_out(place, &stacks, &name, &proposal, true)?.map(|exit| exit == Exit::Done))
        };
        match put() {
            Ok(Some(true)) => session.out.line(&format!("events of {region} are forwarded"))?,
            Ok(Some(false)) => failed = true,
            Ok(None) => return Ok(true),
            Err(error) => {
                failed = true;
                crate::complain(&format!("error: {region}: {}", crate::chain(&error)));
            }
        }
    }
    Ok(failed)
}

/// Whether a stack has an alerter that events could be forwarded to.
pub(super) fn has_alerts(stack: &Stack) -> bool {
    stack.parameter("EnableSecurityAlerts") != Some("false")
}

/// Takes forwarders away that nothing listens to any more. Returns whether one failed.
fn remove_forwarders(session: &mut Session, place: &Place, regions: &[String]) -> anyhow::Result<bool> {
    let mut failed = false;
    for region in regions {
        let stacks = place.account.stacks(Some(region));
        let remove = || -> anyhow::Result<Option<bool>> {
            let Some(forwarder) = stacks.find(&place.forwarder_stack())? else { return Ok(None) };
            Ok(Some(destroy::delete(place, &stacks, &forwarder.id, true)?.is_some_and(|kept| kept.is_empty())))
        };
        match remove() {
            Ok(None) => {}
            Ok(Some(true)) => {
                session.out.line(&format!("the forwarder in {region} is deleted: EnableSecurityAlerts is off"))?;
            }
            Ok(Some(false)) => failed = true,
            Err(error) => {
                failed = true;
                crate::complain(&format!("error: {region}: {}", crate::chain(&error)));
            }
        }
    }
    Ok(failed)
}

/// The regions that forward: those named, or every one that the account uses but the stack's own.
pub(super) fn forward_from(place: &Place, named: &[String]) -> anyhow::Result<Vec<String>> {
    let regions = match named {
        [] => place.account.regions()?,
        [none] if none == "none" => Vec::new(),
        named => named.to_vec(),
    };
    Ok(regions.into_iter().filter(|region| *region != place.region).collect())
}
