//! The buckets of a deployment. They stay where a stack lets go of them, because it was deleted or because a switch was
//! turned off: whose they are, how they are taken up again, and how they go.

use aws::Artifacts;
use pipeline::service::CallError;

use super::{Place, content_name};
use crate::output::plural;
use crate::session::Session;

/// The longest name of a bucket.
const NAME_MAX: usize = 63;
/// How often a bucket is emptied that something is still put into.
const ROUNDS: usize = 3;

/// A bucket that a stack of ours makes.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) name: String,
    /// Its name in the template.
    logical: &'static str,
    /// How the template writes `name`.
    written: String,
}

/// Buckets that a stack left behind.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) buckets: Vec<Own>,
    /// Those that cannot be asked whose they are, and why.
    pub(super) unknown: Vec<String>,
}

/// The name of the bucket for the functions. Where all of it would be too long, a hash stands for account and region.
pub(super) fn name_of_artifacts(stack: &str, account: &str, region: &str) -> String {
    let whole = format!("{stack}-artifacts-{account}-{region}");
    if whole.len() <= NAME_MAX {
        return whole;
    }
    format!("{stack}-artifacts-{}", content_name(whole.as_bytes()))
}

/// The bucket of the stack of the functions.
pub(super) fn of_artifacts(place: &Place) -> Vec<Own> {
    vec![Own { name: place.artifacts_bucket(), logical: "Bucket", written: r#"{"Ref": "BucketName"}"#.to_owned() }]
}

/// The buckets of the stack itself.
pub(super) fn of_stack(stack: &str, account: &str) -> Vec<Own> {
    let all = [("LogsBucket", "logs"), ("AnalyticsBucket", "analytics"), ("AthenaResultsBucket", "athena-results")];
    let own = |(logical, part)| Own {
        name: format!("{stack}-{part}-{account}"),
        logical,
        written: format!("!Sub \"${{AWS::StackName}}-{part}-${{AWS::AccountId}}\""),
    };
    all.map(own).into()
}

/// Those of a stack's buckets that are there and not in it, though it has made them.
pub(super) fn left(place: &Place, stack: &str, own: Vec<Own>, inside: &[String]) -> anyhow::Result<Left> {
    let mut left = Left::default();
    // A stack of the same name in another region is another's.
    let made_by = format!(":{}:{}:stack/{stack}/", place.region, place.account.id);
    for bucket in own.into_iter().filter(|bucket| !inside.contains(&bucket.name)) {
        match Artifacts::new(&place.account, &bucket.name, &place.region)?.tags() {
            Ok(None) => {}
            Ok(Some(tags)) => {
                // Nobody but CloudFormation can give tags such names.
                let tag = |name: &str| tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
                let stack_id = tag("aws:cloudformation:stack-id").unwrap_or_default();
                if stack_id.contains(&made_by) && tag("aws:cloudformation:logical-id") == Some(bucket.logical) {
                    left.buckets.push(bucket);
                }
            }
            Err(error) => {
                left.unknown
                    .push(format!("whether {} is a bucket of {stack} cannot be found out: {error}", bucket.name));
            }
        }
    }
    Ok(left)
}

/// A template that takes these buckets up: CloudFormation does so only where a name is spelled out.
pub(super) fn adopting(template: &str, buckets: &[Own]) -> String {
    buckets.iter().fold(template.to_owned(), |text, Own { name, written, .. }| {
        text.replace(written.as_str(), &format!("\"{name}\""))
    })
}

/// Deletes a bucket that no stack holds any more, an empty one alone or with all that is in it. Returns whether it is gone.
pub(super) fn delete(session: &mut Session, place: &Place, name: &str, with_objects: bool) -> anyhow::Result<bool> {
    let bucket = Artifacts::new(&place.account, name, &place.region)?;
    let mut number = None;
    let mut attempt = || -> Result<bool, CallError> {
        if !with_objects {
            return bucket.remove();
        }
        for _ in 0..ROUNDS {
            match bucket.empty() {
                Ok(deleted) => number = Some(number.unwrap_or(0) + deleted),
                // A stack that was half made or half deleted names buckets that are not there.
                Err(CallError::NotFound(_)) => return Ok(true),
                Err(error) => return Err(error),
            }
            if bucket.remove()? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let outcome = attempt();
    if let Some(number) = number {
        let versions = plural(number, "version of an object", "versions of objects");
        session.out.line(&format!("{name}: {versions} deleted"))?;
    }
    outcome.or_else(|error| {
        crate::complain(&format!("{name}: {error}"));
        Ok(false)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{ARTIFACTS, TEMPLATE};
    use super::*;

    const ACCOUNT: &str = "111122223333";
    /// The longest name that a stack may have.
    const LONGEST: &str = "abcdefghijklmnopqrstuvwxyz-12345678";

    #[test]
    fn every_bucket_of_every_stack_has_a_name_that_s3_takes() {
        assert_eq!(LONGEST.len(), crate::commands::aws::STACK_MAX);
        for region in ["us-east-1", "ap-southeast-2", "ap-northeast-1", "us-isob-east-1"] {
            let artifacts = name_of_artifacts(LONGEST, ACCOUNT, region);
            let others = of_stack(LONGEST, ACCOUNT).into_iter().map(|bucket| bucket.name);
            for name in others.chain([artifacts]) {
                assert!(name.len() <= NAME_MAX && name.starts_with(LONGEST), "{name}");
            }
        }
        let shortened = name_of_artifacts(LONGEST, ACCOUNT, "ap-southeast-2");
        assert_eq!(shortened, format!("{LONGEST}-artifacts-16c79c6f11597a5d"), "it is the same for ever");
        assert_ne!(shortened, name_of_artifacts(LONGEST, ACCOUNT, "ap-southeast-1"));
        assert_ne!(shortened, name_of_artifacts(LONGEST, "444455556666", "ap-southeast-2"));
    }

    #[test]
    fn a_name_that_fits_is_whole() {
        assert_eq!(
            name_of_artifacts("trailhound", ACCOUNT, "eu-central-1"),
            "trailhound-artifacts-111122223333-eu-central-1"
        );
        let just = "a".repeat(NAME_MAX - "-artifacts-111122223333-us-east-1".len());
        let whole = format!("{just}-artifacts-111122223333-us-east-1");
        assert_eq!(name_of_artifacts(&just, ACCOUNT, "us-east-1"), whole);
        let longer = format!("{just}a");
        let shortened = name_of_artifacts(&longer, ACCOUNT, "us-east-1");
        assert_eq!(shortened.len(), format!("{longer}-artifacts-").len() + 16, "{shortened}");
    }

    #[test]
    fn every_name_stands_in_its_template_and_can_be_spelled_out() {
        let own = of_stack("trailhound", ACCOUNT);
        assert_eq!(TEMPLATE.matches("Type: AWS::S3::Bucket\n").count(), own.len());
        for Own { name, logical, written } in &own {
            let resource = TEMPLATE.split_once(&format!("\n  {logical}:\n    Type: AWS::S3::Bucket\n")).unwrap().1;
            let resource = resource.split("\n    Type: ").next().unwrap();
            assert!(resource.contains(&format!("      BucketName: {written}\n")), "{name}");
            assert!(resource.contains("    DeletionPolicy: RetainExceptOnCreate\n"), "{name}");
        }
        let text = adopting(TEMPLATE, &own[..1]);
        assert!(text.contains("      BucketName: \"trailhound-logs-111122223333\"\n"));
        assert!(text.contains("-analytics-${AWS::AccountId}\""), "what is not there is made as ever");
        assert_eq!(adopting(TEMPLATE, &[]), TEMPLATE);
        assert_eq!(ARTIFACTS.matches(r#""BucketName": {"Ref": "BucketName"}"#).count(), 1);
        assert!(ARTIFACTS.contains(r#""DeletionPolicy": "RetainExceptOnCreate""#));
    }
}
