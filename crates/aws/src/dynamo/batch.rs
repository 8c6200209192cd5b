//! Many items in few calls: what a call leaves unprocessed is asked for again, ever more slowly, until patience ends.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{KeysAndAttributes, PutRequest, WriteRequest};
use futures::StreamExt;
use pipeline::service::CallError;

use super::Tables;
use super::item::Item;
use crate::error::classify;

/// The most items that a call writes and reads.
const WRITES: usize = 25;
const READS: usize = 100;
/// The most bytes that a call writes: 16 MB is the limit, and an answer should not take long.
const WRITE_BYTES: usize = 2 << 20;
/// How many calls are under way at once.
const AT_ONCE: usize = 8;
/// How long what is left unprocessed is sent again. One day is one partition, which grows by splitting when it is hot: that
/// takes minutes, and a function has fifteen.
const PATIENCE: Duration = Duration::from_secs(90);
/// The first pause and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

impl Tables {
    /// Writes items in the place of whatever stands there.
    pub(super) fn put_all(&self, table: &str, items: Vec<(Item, usize)>) -> Result<(), CallError> {
        let mut batches: Vec<Vec<WriteRequest>> = Vec::new();
        let mut bytes = WRITE_BYTES;
        for (item, size) in items {
            let put = PutRequest::builder().set_item(Some(item)).build();
            let put = put.map_err(|error| CallError::Refused(error.to_string()))?;
            let request = WriteRequest::builder().put_request(put).build();
            match batches.last_mut() {
                Some(batch) if batch.len() < WRITES && bytes + size <= WRITE_BYTES => batch.push(request),
                _ => {
                    batches.push(vec![request]);
                    bytes = 0;
                }
            }
            bytes += size;
        }
        self.edge.run(async {
            let mut writing = futures::stream::iter(batches.into_iter().map(|batch| self.put_batch(table, batch)))
                .buffer_unordered(AT_ONCE);
            while let Some(written) = writing.next().await {
                written?;
            }
            Ok(())
        })
    }

    async fn put_batch(&self, table: &str, mut batch: Vec<WriteRequest>) -> Result<(), CallError> {
        let mut pause = Pause::new();
        loop {
            let call = self.client.batch_write_item().request_items(table, batch.clone()).send().await;
            match call.map_err(|error| classify("dynamodb:BatchWriteItem", &error)) {
                Ok(answer) => {
                    let sent = batch.len();
                    batch = answer.unprocessed_items.and_then(|mut left| left.remove(table)).unwrap_or_default();
                    tracing::debug!(table, items = sent - batch.len(), left = batch.len(), "items were written");
                }
                Err(CallError::Throttled) => {}
                Err(error) => return Err(error),
            }
            if batch.is_empty() {
                return Ok(());
            }
            pause.take().await?;
        }
    }

    /// Reads items by their keys, in any order; those that are not there are not among them. Sees everything that was
    /// written before.
    pub(super) fn get_all(
        &self,
        table: &str,
        keys: Vec<Item>,
        attributes: Option<&str>,
    ) -> Result<Vec<Item>, CallError> {
        let mut batches: Vec<Vec<Item>> = Vec::new();
        for key in keys {
            match batches.last_mut() {
                Some(batch) if batch.len() < READS => batch.push(key),
                _ => batches.push(vec![key]),
            }
        }
        self.edge.run(async {
            let mut reading =
                futures::stream::iter(batches.into_iter().map(|batch| self.get_batch(table, batch, attributes)))
                    .buffer_unordered(AT_ONCE);
            let mut found = Vec::new();
            while let Some(items) = reading.next().await {
                found.extend(items?);
            }
            Ok(found)
        })
    }

    async fn get_batch(
        &self,
        table: &str,
        mut keys: Vec<Item>,
        attributes: Option<&str>,
    ) -> Result<Vec<Item>, CallError> {
        let mut pause = Pause::new();
        let mut found = Vec::new();
        loop {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys.clone()))
                .consistent_read(true)
                .set_projection_expression(attributes.map(str::to_owned))
                .build()
                .map_err(|error| CallError::Refused(error.to_string()))?;
            let call = self.client.batch_get_item().request_items(table, wanted).send().await;
            match call.map_err(|error| classify("dynamodb:BatchGetItem", &error)) {
                Ok(answer) => {
                    found.extend(answer.responses.and_then(|mut read| read.remove(table)).unwrap_or_default());
                    let mut left: HashMap<String, KeysAndAttributes> = answer.unprocessed_keys.unwrap_or_default();
                    keys = left.remove(table).map(|left| left.keys).unwrap_or_default();
                }
                Err(CallError::Throttled) => {}
                Err(error) => return Err(error),
            }
            if keys.is_empty() {
                return Ok(found);
            }
            pause.take().await?;
        }
    }
}

/// Pauses that double, until patience ends.
struct Pause {
    next: Duration,
    since: Instant,
}

impl Pause {
    fn new() -> Pause {
        Pause { next: PAUSES.0, since: Instant::now() }
    }

    async fn take(&mut self) -> Result<(), CallError> {
        if self.since.elapsed() + self.next > PATIENCE {
            return Err(CallError::Throttled);
        }
        // Others wait for the same partition: they should not all come back at once.
        tokio::time::sleep(self.next.mul_f64(0.5 + fastrand::f64())).await;
        self.next = (self.next * 2).min(PAUSES.1);
        Ok(())
    }
}
