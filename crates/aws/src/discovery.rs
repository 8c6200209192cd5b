//! Where there is something to read: the regions of an account, the accounts of an organisation.

use aws_config::Region;
use aws_sdk_account::types::RegionOptStatus;
use aws_sdk_organizations::types::AccountState;
use pipeline::collect::Partition;

use crate::access::{Account, Aws};
use crate::error::{AwsError, classify};

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
        let config = aws_sdk_account::config::Builder::from(&self.config).region(Region::from_static(home)).build();
        let client = aws_sdk_account::Client::from_conf(config);
        let pages = client
            .list_regions()
            .region_opt_status_contains(RegionOptStatus::Enabled)
            .region_opt_status_contains(RegionOptStatus::EnabledByDefault)
            .into_paginator()
            .items()
            .send();
        let regions = self.edge.run(pages.collect::<Result<Vec<_>, _>>());
        let regions = regions.map_err(|error| AwsError::Call { call: CALL, source: classify(CALL, &error) })?;
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
        let config = aws_sdk_organizations::config::Builder::from(&self.base).region(Region::from_static(home)).build();
        let client = aws_sdk_organizations::Client::from_conf(config);
        let pages = client.list_accounts().into_paginator().send();
        let pages = self.edge.run(pages.collect::<Result<Vec<_>, _>>());
        let pages = pages.map_err(|error| AwsError::Call { call: CALL, source: classify(CALL, &error) })?;
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
