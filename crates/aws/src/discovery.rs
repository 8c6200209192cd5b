//! Where there is something to read: the regions of an account, the accounts of an organisation.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use aws_config::Region;
use aws_sdk_account::types::RegionOptStatus;
use aws_sdk_organizations::types::AccountState;
use event::Timestamp;
use pipeline::collect::{AccountScope, Partition, Scope, Unknown, streams};

use crate::access::{Account, Aws, Role};
use crate::date::UserAgent;
use crate::error::{AwsError, classify};

/// How many accounts are asked for their regions at once.
const AT_ONCE: usize = 8;

/// Which accounts and regions are to be read.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The account of the credentials themselves.
    pub own: bool,
    /// Accounts by the role that is assumed there.
    pub roles: Vec<Role>,
    /// Every account of the organisation: the role to assume in each.
    pub organization: Option<MemberRole>,
    /// These regions; none for those that each account can use.
    pub regions: Vec<String>,
    /// The home region of Identity Center.
    pub sso_region: Option<String>,
    /// Event sources beside the identity ones.
    pub sources: Vec<String>,
    /// What is wanted besides and cannot be asked now, such as a role whose external id is not to be had.
    pub unknown: Vec<Unknown>,
}

/// The role that an organisation's accounts have in common.
#[derive(Clone, PartialEq, Eq)]
pub struct MemberRole {
    /// Its name, with its path.
    pub name: String,
    /// What its trust policy asks for; a secret.
    pub external_id: Option<String>,
}

impl std::fmt::Debug for MemberRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemberRole").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What there is to read, as far as it could be found out.
#[derive(Debug)]
pub struct Discovery {
    /// The accounts that can be asked.
    pub accounts: Vec<Account>,
    /// The streams, and what could not be found out.
    pub scope: Scope,
}

impl Aws {
    /// Finds out what there is to read. What cannot be found out is named in the scope; what was known of it `before`
    /// stays. `None` where `stop` was set before all was asked.
    #[must_use]
    pub fn discover(&self, wanted: &Wanted, before: &Scope, now: Timestamp, stop: &AtomicBool) -> Option<Discovery> {
        let is_stopped = || stop.load(Ordering::Relaxed);
        let mut scope = Scope { unknown: wanted.unknown.clone(), ..Scope::default() };
        let mut unknown = |subject: &str, error: AwsError| scope.unknown.push(error.unknown(subject, now));
        let mut accounts: Vec<Account> = Vec::new();
        let is_own_asked = wanted.own || wanted.organization.is_some();
        let own =
            is_own_asked.then(|| self.own()).and_then(|own| own.map_err(|error| unknown("credentials", error)).ok());
        for role in &wanted.roles {
            match self.assume(role) {
                Ok(account) => accounts.push(account),
                Err(error) => unknown(&role.arn, error),
            }
        }
        if is_stopped() {
            return None;
        }
        if let (Some(member), Some(own)) = (&wanted.organization, &own) {
            let numbers = self.organization().unwrap_or_else(|error| {
                unknown("organization", error);
                before.accounts().into_iter().map(str::to_owned).collect()
            });
            for number in numbers.iter().filter(|number| **number != own.id) {
                let arn = format!("arn:{}:iam::{number}:role/{}", own.partition.as_str(), member.name);
                match self.assume(&Role { arn: arn.clone(), external_id: member.external_id.clone() }) {
                    Ok(account) => accounts.push(account),
                    Err(error) => unknown(&arn, error),
                }
            }
        }
        if wanted.own {
            accounts.splice(0..0, own);
        }
        let mut seen = BTreeSet::new();
        accounts.retain(|account| seen.insert(account.id.clone()));

        let regions = regions_of(&accounts, &wanted.regions, stop);
        if is_stopped() {
            return None;
        }
        // Who could not be asked this time was not taken out of the configuration.
        if !scope.unknown.is_empty() {
            let gone = before.streams.iter().filter(|stream| !seen.contains(&stream.account));
            scope.streams.extend(gone.cloned());
        }
        for (account, regions) in accounts.iter().zip(regions) {
            let regions = regions.unwrap_or_else(|error| {
                scope.unknown.push(error.unknown(&account.id, now));
                let known = before.streams.iter().filter(|stream| stream.account == account.id);
                known.map(|stream| stream.region.clone()).collect()
            });
            let place = AccountScope {
                account: account.id.clone(),
                partition: account.partition,
                regions,
                sso_region: wanted.sso_region.clone(),
            };
            scope.streams.extend(streams(&place, &wanted.sources));
        }
        scope.continue_from(before);
        Some(Discovery { accounts, scope })
    }
}

/// The regions of each account, in the order of the accounts.
fn regions_of(accounts: &[Account], given: &[String], stop: &AtomicBool) -> Vec<Result<Vec<String>, AwsError>> {
    if !given.is_empty() {
        return accounts.iter().map(|_| Ok(given.to_vec())).collect();
    }
    let next = Mutex::new(0..accounts.len());
    let take = || {
        let next = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
        (!stop.load(Ordering::Relaxed)).then(next).flatten()
    };
    let found: Vec<(usize, _)> = std::thread::scope(|scope| {
        let ask = || -> Vec<_> { std::iter::from_fn(take).map(|place| (place, accounts[place].regions())).collect() };
        let threads: Vec<_> = (0..AT_ONCE.min(accounts.len())).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    let mut regions: Vec<_> =
        accounts.iter().map(|_| Err(AwsError::Threads("the thread that asked has ended".to_owned()))).collect();
    for (place, answer) in found {
        regions[place] = answer;
    }
    regions
}

impl Account {
    /// The regions that the account can use, all of them: a failure is an error and never a shorter list.
    ///
    /// # Errors
    /// [`AwsError::Call`].
    pub fn regions(&self) -> Result<Vec<String>, AwsError> {
        const CALL: &str = "account:ListRegions";
        // The service has no region; this is where it answers.
        let home = match self.partition {
            Partition::AwsCn => "cn-northwest-1",
            partition => partition.global_region(),
        };
        let config = aws_sdk_account::config::Builder::from(&self.config)
            .region(Region::from_static(home))
            .interceptor(UserAgent)
            .build();
        let client = aws_sdk_account::Client::from_conf(config);
        let pages = client
            .list_regions()
            .region_opt_status_contains(RegionOptStatus::Enabled)
            .region_opt_status_contains(RegionOptStatus::EnabledByDefault)
            .into_paginator()
            .items()
            .send();
        let call = async { pages.collect::<Result<Vec<_>, _>>().await.map_err(|error| classify(CALL, &error)) };
        let regions = self.edge.attempt(call).map_err(|source| AwsError::Call { call: CALL, source })?;
        let mut names: Vec<String> = regions.into_iter().filter_map(|region| region.region_name).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }
}

impl Aws {
    /// The numbers of the organisation's accounts that are active. To be asked with the credentials of its management
    /// account, or of one that it delegated to.
    ///
    /// # Errors
    /// [`AwsError::Call`].
    pub fn organization(&self) -> Result<Vec<String>, AwsError> {
        const CALL: &str = "organizations:ListAccounts";
        let home = Partition::of_region(self.base.region().map_or("", |region| region.as_ref())).global_region();
        let config = aws_sdk_organizations::config::Builder::from(&self.base)
            .region(Region::from_static(home))
            .interceptor(UserAgent)
            .build();
        let client = aws_sdk_organizations::Client::from_conf(config);
        let pages = client.list_accounts().into_paginator().send();
        let call = async { pages.collect::<Result<Vec<_>, _>>().await.map_err(|error| classify(CALL, &error)) };
        let pages = self.edge.attempt(call).map_err(|source| AwsError::Call { call: CALL, source })?;
        let accounts = pages.into_iter().flat_map(|page| page.accounts.unwrap_or_default());
        let is_active =
            |state: Option<&AccountState>| !matches!(state, Some(AccountState::Closed | AccountState::Suspended));
        let mut numbers: Vec<String> =
            accounts.filter(|account| is_active(account.state())).filter_map(|account| account.id).collect();
        numbers.sort();
        numbers.dedup();
        Ok(numbers)
    }
}
