//! What the registry costs where it finds nothing, which is nearly every event: no allocation.
//!
//! In a program of its own, because counting replaces the allocator.

use detect::Registry;
use serde_json::json;
use testkit::event;

fn allocations(event: &event::Event<'_>) -> u64 {
    let registry = Registry::default();
    let mut findings = 0;
    let counted = allocation_counter::measure(|| registry.check(event, &mut |_| findings += 1));
    assert_eq!(findings, 0, "the event is meant to be harmless");
    counted.count_total
}

#[test]
fn an_event_no_detection_asks_for_costs_no_allocation() {
    for event in [
        event("DescribeInstances").source("ec2"),
        event("AssumeRole")
            .source("sts")
            .role_session("ci", "build")
            .request(json!({"roleArn": "arn:aws:iam::1:role/r"})),
        event("GetObject").source("s3").error("AccessDenied"),
        // A name that detections ask for, of another service.
        event("CreateUser").source("identitystore"),
        event("DeleteApplication").source("elasticbeanstalk"),
    ] {
        assert_eq!(allocations(&event.to_event()), 0);
    }
}

#[test]
fn an_event_that_is_looked_into_costs_only_the_parsing_of_its_parameters_once() {
    let policy = json!({"userName": "bob", "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"});
    let event = event("AttachUserPolicy").request(policy).to_event();
    assert!(allocations(&event) > 0, "the counter counts");
    assert_eq!(allocations(&event), 0, "the second look finds the parameters parsed");
}
