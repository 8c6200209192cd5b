//! A bucket behind integrity's port: as [`TrailBucket`] reads it, with what S3 keeps beside an object's bytes.

use std::borrow::Cow;

use integrity::evidence::{Evidence, Level, Listed, Metadata, Object, Trouble};
use object_store::Attribute;
use object_store::list::PaginatedListOptions;
use object_store::path::Path;
use pipeline::service::CallError;

use crate::bucket::{Fetched, GET, TrailBucket};
use crate::error::classify_store;

/// What stands beside a digest's bytes, without `x-amz-meta-`.
const METADATA: [&str; 3] = ["signature", "signature-algorithm", "backfill-generation-timestamp"];

/// S3's word for an object in Glacier that was not restored.
const ARCHIVED: &str = "InvalidObjectState";

pub(crate) fn trouble(error: CallError) -> Trouble {
    match error {
        CallError::NotFound(_) => Trouble::NotFound,
        CallError::AccessDenied { action, message } => Trouble::Denied(format!("{action} is not allowed ({message})")),
        CallError::TooLarge { size, limit } => Trouble::TooLarge { size, limit },
        CallError::Refused(said) if said.contains(ARCHIVED) => Trouble::Archived(said),
        other => Trouble::Failed(other.to_string()),
    }
}

impl TrailBucket {
    /// Every page of a list.
    fn pages(
        &self,
        prefix: &str,
        delimiter: Option<&'static str>,
        each: &mut dyn FnMut(object_store::ListResult),
    ) -> Result<(), Trouble> {
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions {
                delimiter: delimiter.map(Cow::Borrowed),
                page_token,
                ..PaginatedListOptions::default()
            };
            let page = self.page(prefix, options).map_err(trouble)?;
            each(page.result);
            page_token = page.page_token;
            if page_token.is_none() {
                return Ok(());
            }
        }
    }
}

impl Evidence for TrailBucket {
    fn keeps_metadata(&self) -> bool {
        true
    }

    fn level(&self, prefix: &str) -> Result<Level, Trouble> {
        let mut level = Level::default();
        self.pages(prefix, Some("/"), &mut |page| {
            // The paths come without the slash at their end.
            level.folders.extend(page.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)));
            level.objects.extend(page.objects.into_iter().map(|object| String::from(object.location)));
        })?;
        level.folders.sort();
        // What only marks the folder is no object in it.
        level.objects.retain(|key| key.as_str() != prefix.trim_end_matches('/') && key != prefix);
        Ok(level)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed)) -> Result<(), Trouble> {
        self.pages(prefix, None, &mut |page| {
            for object in page.objects {
                let key = String::from(object.location);
                // The mark of a folder comes without the slash at its end.
                if key.len() > prefix.len() {
                    each(Listed { key, size: object.size });
                }
            }
        })
    }

    fn read(&self, key: &str, limit: u64) -> Result<Object, Trouble> {
        // A key that S3 would take and a path cannot be: with empty parts, for example.
        let path = Path::parse(key).map_err(|error| Trouble::Failed(error.to_string()))?;
        let Fetched { meta, attributes, body } = self
            .fetch(path)
            .map_err(|error| trouble(classify_store(GET, &format!("object s3://{}/{key}", self.name), &error)))?;
        let size = meta.size;
        if size > limit {
            return Err(Trouble::TooLarge { size, limit });
        }
        let mut metadata = Metadata::default();
        for name in METADATA {
            if let Some(value) = attributes.get(&Attribute::Metadata(Cow::Borrowed(name))) {
                metadata.take(name, value.as_ref());
            }
        }
        Ok(Object { size, metadata, content: Box::new(body) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::RetryConfig;
    use object_store::aws::AmazonS3Builder;
    use testkit::http::script::Script;

    use super::*;
    use crate::edge::Edge;

    #[test]
    fn what_lies_in_an_archive_tier_is_neither_missing_nor_denied() {
        // As S3 answers; an object in Instant Retrieval is read like any other.
        let script = Script::open(|asked| {
            let tier = ["DEEP_ARCHIVE", "GLACIER"].into_iter().find(|tier| asked.call.contains(tier));
            let error =
                |code: &str, more: &str| format!("<Error><Code>{code}</Code><Message>said</Message>{more}</Error>");
            match tier {
                Some(tier) => (403, error("InvalidObjectState", &format!("<StorageClass>{tier}</StorageClass>"))),
                None if asked.call.contains("denied") => (403, error("AccessDenied", "")),
                None => (404, error("NoSuchKey", "")),
            }
        });
        let store = AmazonS3Builder::new()
            .with_bucket_name("our-trail")
            .with_region("us-east-1")
            .with_endpoint(&script.endpoint)
            .with_allow_http(true)
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_access_key_id("AKID")
            .with_secret_access_key("secret")
            .build()
            .unwrap();
        let bucket = TrailBucket { name: "our-trail".to_owned(), store, edge: Arc::new(Edge::new(None).unwrap()) };
        let read = |key: &str| bucket.read(key, 1 << 20).map(|object| object.size).unwrap_err();
        for tier in ["GLACIER", "DEEP_ARCHIVE"] {
            let trouble = read(&format!("AWSLogs/111122223333/{tier}.json.gz"));
            assert!(matches!(&trouble, Trouble::Archived(said) if said.contains("InvalidObjectState")), "{trouble:?}");
            assert!(trouble.to_string().contains("has to be restored first"), "{trouble}");
        }
        assert!(matches!(read("AWSLogs/denied.json.gz"), Trouble::Denied(_)));
        assert_eq!(read("AWSLogs/missing.json.gz"), Trouble::NotFound);
        assert_eq!(script.asked().len(), 4, "each is asked for once");
    }
}
