//! The trails that an account has already, and whether EventBridge would hear of anything through them.

use aws_config::Region;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::types::{AdvancedEventSelector, EventSelector, ReadWriteType, Trail as Described};
use pipeline::service::CallError;

use crate::access::Account;
use crate::date::UserAgent;
use crate::error::{AwsError, classify};

/// A trail that records every region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// Its ARN; another account's where it is an organisation's.
    pub arn: String,
    /// What EventBridge is told of through it.
    pub delivers: Delivers,
}

/// What of management events a trail makes EventBridge deliver, the most first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivers {
    /// All of them.
    All,
    /// Those that change something.
    Changes,
    /// Nobody knows: it cannot be asked.
    Unknown(CallError),
    /// Those that only read.
    Reads,
    /// None of them.
    DataOnly,
    /// Nothing: it is stopped.
    Stopped,
}

impl Account {
    /// The trails that record every region here, an organisation's too: the one that delivers the most first.
    ///
    /// # Errors
    /// [`AwsError::Call`].
    pub fn trails(&self) -> Result<Vec<Trail>, AwsError> {
        const CALL: &str = "cloudtrail:DescribeTrails";
        let call = self.cloudtrail(None).describe_trails().include_shadow_trails(true);
        let found = self.edge.attempt(async { call.send().await.map_err(|error| classify(CALL, &error)) });
        let found = found.map_err(|source| AwsError::Call { call: CALL, source })?;
        let described = found.trail_list.unwrap_or_default().into_iter();
        let everywhere = described.filter(|trail| trail.is_multi_region_trail == Some(true));
        let mut trails: Vec<Trail> = everywhere.filter_map(|trail| self.look_at(trail)).collect();
        trails.sort_by_key(|trail| trail.delivers.rank());
        Ok(trails)
    }

    fn look_at(&self, trail: Described) -> Option<Trail> {
        let arn = trail.trail_arn?;
        let delivers = self.delivers(&arn, trail.home_region).unwrap_or_else(Delivers::Unknown);
        Some(Trail { arn, delivers })
    }

    /// Asked where the trail is at home: elsewhere there is only its shadow.
    fn delivers(&self, arn: &str, home: Option<String>) -> Result<Delivers, CallError> {
        let client = self.cloudtrail(home);
        let call = client.get_trail_status().name(arn);
        let status = self
            .edge
            .attempt(async { call.send().await.map_err(|error| classify("cloudtrail:GetTrailStatus", &error)) })?;
        if status.is_logging != Some(true) {
            return Ok(Delivers::Stopped);
        }
        let call = client.get_event_selectors().trail_name(arn);
        let selectors = self
            .edge
            .attempt(async { call.send().await.map_err(|error| classify("cloudtrail:GetEventSelectors", &error)) })?;
        let basic = selectors.event_selectors.unwrap_or_default().into_iter().filter_map(of_basic);
        let advanced = selectors.advanced_event_selectors.unwrap_or_default().into_iter().filter_map(of_advanced);
        Ok(together(basic.chain(advanced)))
    }

    fn cloudtrail(&self, region: Option<String>) -> Client {
        let mut config = aws_sdk_cloudtrail::config::Builder::from(&self.config).interceptor(UserAgent);
        if let Some(region) = region {
            config = config.region(Region::new(region));
        }
        Client::from_conf(config.build())
    }
}

impl Delivers {
    /// Whether EventBridge delivers what changes something, as far as that is known.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        matches!(self, Delivers::All | Delivers::Changes | Delivers::Unknown(_))
    }

    const fn rank(&self) -> u8 {
        match self {
            Delivers::All => 0,
            Delivers::Changes => 1,
            Delivers::Unknown(_) => 2,
            Delivers::Reads => 3,
            Delivers::DataOnly => 4,
            Delivers::Stopped => 5,
        }
    }
}

/// Whether a selector takes in management events that change something, and those that only read; none where it takes in
/// no management events.
type Taken = (bool, bool);

/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_EventSelector.html>
fn of_basic(selector: EventSelector) -> Option<Taken> {
    if selector.include_management_events == Some(false) {
        return None;
    }
    let kind = selector.read_write_type.unwrap_or(ReadWriteType::All);
    Some((kind != ReadWriteType::ReadOnly, kind != ReadWriteType::WriteOnly))
}

/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_AdvancedFieldSelector.html>
fn of_advanced(selector: AdvancedEventSelector) -> Option<Taken> {
    let equals = |field: &str, value: &str| {
        let named = selector.field_selectors.iter().find(|one| one.field == field);
        named.map(|one| one.equals().iter().any(|known| known.eq_ignore_ascii_case(value)))
    };
    if equals("eventCategory", "Management") != Some(true) {
        return None;
    }
    // A field that is not named restricts nothing.
    Some((equals("readOnly", "false").unwrap_or(true), equals("readOnly", "true").unwrap_or(true)))
}

fn together(taken: impl Iterator<Item = Taken>) -> Delivers {
    let (changes, reads) = taken.fold((false, false), |(changes, reads), one| (changes || one.0, reads || one.1));
    match (changes, reads) {
        (true, true) => Delivers::All,
        (true, false) => Delivers::Changes,
        (false, true) => Delivers::Reads,
        (false, false) => Delivers::DataOnly,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudtrail::types::AdvancedFieldSelector;

    use super::*;

    #[test]
    fn selectors_say_which_management_events_there_are() {
        let basic = |management: Option<bool>, kind: Option<ReadWriteType>| {
            let selector = EventSelector::builder().set_include_management_events(management);
            of_basic(selector.set_read_write_type(kind).build())
        };
        // What is not said is as the service has it by default.
        assert_eq!(together([basic(None, None)].into_iter().flatten()), Delivers::All);
        assert_eq!(basic(Some(true), Some(ReadWriteType::WriteOnly)), Some((true, false)));
        assert_eq!(basic(Some(false), Some(ReadWriteType::All)), None);

        let advanced = |fields: &[(&str, &str)]| {
            let field = |(name, value): &(&str, &str)| {
                AdvancedFieldSelector::builder().field(*name).equals(*value).build().unwrap()
            };
            let fields = fields.iter().map(field).collect();
            of_advanced(AdvancedEventSelector::builder().set_field_selectors(Some(fields)).build().unwrap())
        };
        let data = advanced(&[("eventCategory", "Data"), ("resources.type", "AWS::S3::Object")]);
        let writes = advanced(&[("eventCategory", "Management"), ("readOnly", "false")]);
        let reads = advanced(&[("eventCategory", "Management"), ("readOnly", "true")]);
        assert_eq!((data, writes, reads), (None, Some((true, false)), Some((false, true))));
        assert_eq!(advanced(&[("eventCategory", "Management")]), Some((true, true)));
        let delivers = |taken: &[Option<Taken>]| together(taken.iter().copied().flatten());
        assert_eq!(delivers(&[data]), Delivers::DataOnly);
        assert_eq!((delivers(&[reads, data]), delivers(&[data, writes])), (Delivers::Reads, Delivers::Changes));
        assert_eq!(delivers(&[reads, writes]), Delivers::All);
        assert!(!Delivers::Reads.is_enough() && Delivers::Changes.is_enough());
    }
}
