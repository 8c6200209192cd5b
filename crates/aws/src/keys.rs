//! CloudTrail's public keys: ListPublicKeys behind integrity's port.

use std::fmt;

use aws_config::Region;
use aws_sdk_cloudtrail::Client;
use aws_smithy_types::DateTime;
use event::Timestamp;
use integrity::evidence::Trouble;
use integrity::keys::{KeySource, PublicKey};

use crate::access::Account;
use crate::date::UserAgent;
use crate::error::classify;
use crate::evidence::trouble;

/// The permission that is needed.
const CALL: &str = "cloudtrail:ListPublicKeys";
/// The most pages of one region: a key is used for days.
const PAGES: usize = 1000;

/// The public keys of every region, as an account may list them.
pub struct PublicKeys(Account);

impl PublicKeys {
    /// Asks nothing yet.
    #[must_use]
    pub fn new(account: Account) -> PublicKeys {
        PublicKeys(account)
    }
}

/// Its account would show where its credentials come from.
impl fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKeys").finish_non_exhaustive()
    }
}

impl KeySource for PublicKeys {
    fn keys(&self, region: &str, from: Timestamp, to: Timestamp) -> Result<Vec<PublicKey>, Trouble> {
        // It becomes part of a host's name, and comes from the name of a folder.
        if !region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return Err(Trouble::Failed(format!("{region:?} is no region")));
        }
        let config = aws_sdk_cloudtrail::config::Builder::from(&self.0.config)
            .region(Region::new(region.to_owned()))
            .interceptor(UserAgent)
            .build();
        let client = Client::from_conf(config);
        let time = |time: Timestamp| DateTime::from_millis(time.micros() / 1_000);
        let mut keys = Vec::new();
        let mut token = None;
        for _ in 0..PAGES {
            let call = client.list_public_keys().start_time(time(from)).end_time(time(to)).set_next_token(token);
            let page = async { call.send().await.map_err(|error| classify(CALL, &error)) };
            let page = self.0.edge.attempt(page).map_err(trouble)?;
            for key in page.public_key_list.unwrap_or_default() {
                let valid = |time: Option<DateTime>| time.and_then(|time| Timestamp::from_seconds(time.secs()));
                if let (Some(fingerprint), Some(value)) = (key.fingerprint, key.value) {
                    keys.push(PublicKey {
                        fingerprint,
                        der: value.into_inner(),
                        from: valid(key.validity_start_time),
                        to: valid(key.validity_end_time),
                        region: Some(region.to_owned()),
                    });
                }
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(keys);
            }
        }
        Err(Trouble::Failed("ListPublicKeys does not come to an end".to_owned()))
    }
}
