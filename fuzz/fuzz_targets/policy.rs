//! Any bytes as a policy document: nothing panics, and what the evaluators say holds together.

#![no_main]

use event::arn::Arn;
use event::policy::{Class, Effect, Outsider, Policy, escalating_actions, grants, trust};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = Arn::parse(text).map(|arn| (arn.path(), arn.resource_name().len(), arn.assumed_role(), arn.is_root()));
    let Ok(policy) = Policy::parse(text) else { return };

    let grants = grants(&policy);
    let trusted = trust(&policy, None);
    let trusted_by_own = trust(&policy, Some("111122223333"));

    for grant in &grants {
        assert_eq!(grant.covered + grant.left_out.len(), grant.total);
    }
    let everything = grants.iter().any(|grant| grant.class == Class::Everything);
    assert!(!everything || grants.len() == 1, "everything stands alone");
    if policy.statements.iter().all(|statement| statement.effect == Effect::Deny) {
        assert!(grants.is_empty() && trusted.is_empty() && escalating_actions(&policy).is_empty());
    }
    assert!(trusted_by_own.len() <= trusted.len(), "an own account only takes findings away");
    for finding in &trusted {
        if matches!(finding.outsider, Outsider::AnyoneBehindOidc { .. }) {
            assert!(!finding.restricted);
        }
        assert!(!finding.restricted || !finding.condition_keys.is_empty(), "what restricts is a condition");
    }

    // A policy that allows everything besides allows everything, whatever else it says, if it denies nothing.
    let mut opened = policy;
    opened.statements.retain(|statement| statement.effect == Effect::Allow);
    let open =
        Policy::parse(r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#).expect("a fixed policy");
    opened.statements.extend(open.statements);
    assert!(event::policy::grants(&opened).iter().any(|grant| grant.class == Class::Everything && !grant.conditional));
});
