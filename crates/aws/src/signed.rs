//! Signed calls of services whose SDKs take minutes to build and of which one operation is needed: JSON out, JSON in.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_types::service_config::ServiceConfigKey;
use pipeline::collect::{LookupError, Partition};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::access::{CONNECT, tls};
use crate::edge::Edge;
use crate::error::{Refusal, innermost, of_credentials, of_refusal};
use crate::kept_alive::KeptAlive;

/// The most bytes of an answer that are read, unless more are asked for: more than a secret or a hundred refused findings need.
const ANSWER_MAX: usize = 1024 * 1024;
/// How long before they end credentials are fetched anew.
const EARLY: Duration = Duration::from_secs(60);

/// One operation of a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation<'a> {
    /// The permission it needs, such as `ssm:GetParameter`.
    pub(crate) permission: &'static str,
    /// The service's name for `AWS_ENDPOINT_URL_…` and the profile's `services`.
    pub(crate) service: &'static str,
    /// The service's name in its hosts.
    pub(crate) host: &'static str,
    /// The name that it is signed for, where that is another one.
    pub(crate) signed_for: Option<&'static str>,
    pub(crate) method: &'static str,
    pub(crate) path: &'a str,
    /// `X-Amz-Target`, where the service tells its operations apart by that.
    pub(crate) target: Option<&'static str>,
}

impl Operation<'_> {
    /// What most have in common.
    pub(crate) const POST: Operation<'static> =
        Operation { permission: "", service: "", host: "", signed_for: None, method: "POST", path: "/", target: None };
}

/// A request before it is signed.
#[derive(Debug)]
pub(crate) struct Raw {
    /// The permission it needs.
    pub(crate) permission: &'static str,
    /// The service's name in the signature.
    pub(crate) signed_for: &'static str,
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// Makes signed calls with one account's credentials.
#[derive(Clone)]
pub(crate) struct Signed {
    edge: Arc<Edge>,
    config: SdkConfig,
    /// Made when something is first asked: that loads the trusted certificates.
    connector: Arc<OnceLock<SharedHttpConnector>>,
    credentials: Arc<Mutex<Option<Credentials>>>,
    /// The most bytes of an answer that are read.
    answer_max: usize,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signed")
    }
}

impl Signed {
    pub(crate) fn new(edge: &Arc<Edge>, config: &SdkConfig) -> Signed {
        let (edge, config) = (Arc::clone(edge), config.clone());
        Signed { edge, config, connector: Arc::default(), credentials: Arc::default(), answer_max: ANSWER_MAX }
    }

    /// Reads answers of up to so many bytes.
    pub(crate) fn reading(self, answer_max: usize) -> Signed {
        Signed { answer_max, ..self }
    }

    /// Makes each call over a connection that is probed while the answer lets wait for itself.
    pub(crate) fn kept_alive(self) -> Signed {
        Signed { connector: Arc::new(OnceLock::from(SharedHttpConnector::new(KeptAlive))), ..self }
    }

    /// Calls once, and not for longer than the limit.
    pub(crate) fn call<T: DeserializeOwned>(
        &self,
        operation: &Operation<'_>,
        region: &str,
        body: &Value,
        limit: Duration,
    ) -> Result<T, LookupError> {
        let exchange = async { tokio::time::timeout(limit, self.exchange(operation, region, body)).await };
        let answer = self.edge.run(exchange);
        let answer = answer.unwrap_or_else(|_| Err(LookupError::Unavailable("no answer in time".to_owned())))?;
        // Some have nothing to say.
        let answer = if answer.is_empty() { b"null".to_vec() } else { answer };
        // The parser's own words would repeat what it has read.
        serde_json::from_slice(&answer)
            .map_err(|_| LookupError::Refused("the answer is not what it should be".to_owned()))
    }

    async fn exchange(&self, operation: &Operation<'_>, region: &str, body: &Value) -> Result<Vec<u8>, LookupError> {
        let url = format!("{}{}", self.endpoint(operation, region)?, operation.path);
        let content_type = if operation.target.is_some() { "application/x-amz-json-1.1" } else { "application/json" };
        let mut headers = vec![("content-type", content_type.to_owned())];
        headers.extend(operation.target.map(|target| ("x-amz-target", target.to_owned())));
        let raw = Raw {
            permission: operation.permission,
            signed_for: operation.signed_for.unwrap_or(operation.host),
            method: operation.method,
            url,
            headers,
            // What asks for nothing has no body.
            body: if body.is_null() { String::new() } else { body.to_string() },
        };
        self.send(&raw, region).await
    }

    /// Sends a request, signed, and reads its answer.
    pub(crate) async fn send(&self, raw: &Raw, region: &str) -> Result<Vec<u8>, LookupError> {
        let credentials = self.credentials().await?;
        let request = self.request(raw, region, credentials)?;
        let response = self.connector().call(request).await.map_err(|error| of_connector(&error))?;
        let status = response.status().as_u16();
        let code = response.headers().get("x-amzn-errortype").unwrap_or_default().to_owned();
        let body = read(response.into_body(), self.answer_max).await?;
        if (200..=299).contains(&status) {
            return Ok(body);
        }
        let refused = of_refusal(raw.permission, refusal(status, &code, &body));
        if matches!(refused, LookupError::Credentials(_)) {
            // There may be better ones by now.
            *self.credentials.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Err(refused)
    }

    /// The credentials, kept for as long as they hold: a role would else be assumed for every call.
    async fn credentials(&self) -> Result<Credentials, LookupError> {
        let now = self.config.time_source().unwrap_or_default().now();
        let kept = self.credentials.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept.filter(|kept| kept.expiry().is_none_or(|expiry| expiry > now + EARLY)) {
            return Ok(kept);
        }
        let provider = self.config.credentials_provider();
        let provider = provider.ok_or_else(|| LookupError::Credentials("there are none".to_owned()))?;
        let fresh = provider.provide_credentials().await.map_err(|error| of_credentials(&error))?;
        *self.credentials.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
        Ok(fresh)
    }

    fn connector(&self) -> &SharedHttpConnector {
        self.connector.get_or_init(|| {
            let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).build();
            SharedHttpConnector::new(Connector::builder().tls_provider(tls()).connector_settings(settings).build())
        })
    }

    fn request(&self, raw: &Raw, region: &str, credentials: Credentials) -> Result<HttpRequest, LookupError> {
        // An error of the signer could repeat a header.
        let unsigned = || LookupError::Refused("the request cannot be signed".to_owned());
        let Raw { signed_for, method, url, headers, body, .. } = raw;
        let mut settings = SigningSettings::default();
        if *signed_for == "s3" {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(signed_for)
            .time(self.config.time_source().unwrap_or_default().now())
            .settings(settings)
            .build()
            .map_err(|_| unsigned())?
            .into();
        let content = SignableBody::Bytes(body.as_bytes());
        let said = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signable = SignableRequest::new(method, url.as_str(), said, content);
        let signature = sign(signable.map_err(|_| unsigned())?, &params).map_err(|_| unsigned())?.into_parts().0;
        let mut request = HttpRequest::new(SdkBody::from(body.as_str()));
        request.set_method(method).map_err(|_| unsigned())?;
        request
            .set_uri(url.as_str())
            .map_err(|_| LookupError::Refused(format!("the endpoint {url:?} is no address")))?;
        // The signature does not cover it.
        let agent = ("user-agent", concat!("trailhound/", env!("CARGO_PKG_VERSION")));
        let said = headers.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in said.chain([agent]).chain(signature.headers()) {
            request.headers_mut().try_insert(name.to_owned(), value.to_owned()).map_err(|_| unsigned())?;
        }
        Ok(request)
    }

    /// Where the service answers: where the environment or the profile say, else its own host in the region.
    fn endpoint(&self, operation: &Operation<'_>, region: &str) -> Result<String, LookupError> {
        if !is_region(region) {
            return Err(LookupError::Refused(format!("{region:?} is no region")));
        }
        let key = ServiceConfigKey::builder()
            .service_id(operation.service)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok();
        let configured = self.config.service_config().zip(key).and_then(|(config, key)| config.load_config(key));
        if let Some(url) = configured.as_deref().or(self.config.endpoint_url()) {
            return Ok(url.trim_end_matches('/').to_owned());
        }
        let is_fips = self.config.use_fips().unwrap_or_default();
        let is_dual_stack = self.config.use_dual_stack().unwrap_or_default();
        Ok(format!("https://{}", host(operation.host, region, is_fips, is_dual_stack)))
    }
}

/// The host of a service in a region, as its SDK has it.
fn host(service: &str, region: &str, is_fips: bool, is_dual_stack: bool) -> String {
    let partition = Partition::of_region(region);
    let suffix = match (partition, is_dual_stack) {
        (Partition::AwsCn, false) => "amazonaws.com.cn",
        (Partition::AwsCn, true) => "api.amazonwebservices.com.cn",
        (_, false) => "amazonaws.com",
        (_, true) => "api.aws",
    };
    // In GovCloud every endpoint of Systems Manager is one.
    let is_one_anyway = service == "ssm" && partition == Partition::AwsUsGov && !is_dual_stack;
    let fips = if is_fips && !is_one_anyway { "-fips" } else { "" };
    format!("{service}{fips}.{region}.{suffix}")
}

/// It becomes a part of a host's name.
pub(crate) fn is_region(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

async fn read(body: SdkBody, max: usize) -> Result<Vec<u8>, LookupError> {
    let (mut stream, mut bytes) = (ByteStream::new(body), Vec::new());
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| LookupError::Unavailable("the answer breaks off".to_owned()))?;
        bytes.extend_from_slice(&chunk);
        if bytes.len() > max {
            return Err(LookupError::Refused(format!("the answer is longer than {max} bytes")));
        }
    }
    Ok(bytes)
}

/// The service's own words: the code stands in a header or in the body, often with a name space before it or an address
/// behind it.
fn refusal(status: u16, code: &str, body: &[u8]) -> Refusal {
    let said: Value = serde_json::from_slice(body).ok().or_else(|| of_xml(body)).unwrap_or_default();
    let text = |names: [&str; 3]| names.into_iter().find_map(|name| said[name].as_str()).unwrap_or_default();
    let code = if code.is_empty() { text(["__type", "code", "Code"]) } else { code };
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    match (code, status) {
        // It was not the service that answered, but somebody before it.
        ("", 403) => Refusal::new("AccessDenied", "HTTP 403 without a reason", status),
        _ => Refusal::new(code, text(["message", "Message", "errorMessage"]), status),
    }
}

/// S3's `<Error><Code>…</Code><Message>…</Message></Error>`.
fn of_xml(body: &[u8]) -> Option<Value> {
    #[derive(serde::Deserialize)]
    struct Error {
        #[serde(rename = "Code")]
        code: String,
        #[serde(rename = "Message", default)]
        message: String,
    }
    let error: Error = quick_xml::de::from_str(std::str::from_utf8(body).ok()?).ok()?;
    Some(serde_json::json!({ "Code": error.code, "Message": error.message }))
}

fn of_connector(error: &ConnectorError) -> LookupError {
    if error.is_timeout() {
        return LookupError::Unavailable("no answer in time".to_owned());
    }
    LookupError::Unavailable(innermost(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Access, Aws};

    const GET: Operation<'_> = Operation {
        permission: "secretsmanager:GetSecretValue",
        service: "Secrets Manager",
        host: "secretsmanager",
        target: Some("secretsmanager.GetSecretValue"),
        ..Operation::POST
    };

    fn signed() -> Signed {
        let aws = Aws::open(&Access { region: Some("eu-central-1".to_owned()), ..Access::default() }, None).unwrap();
        Signed::new(&aws.edge, &aws.base)
    }

    #[test]
    fn a_service_has_its_host_in_every_partition() {
        for (region, is_fips, is_dual_stack, expected) in [
            ("eu-central-1", false, false, "secretsmanager.eu-central-1.amazonaws.com"),
            ("us-gov-west-1", true, false, "secretsmanager-fips.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", false, false, "secretsmanager.cn-north-1.amazonaws.com.cn"),
            ("cn-north-1", false, true, "secretsmanager.cn-north-1.api.amazonwebservices.com.cn"),
            ("us-east-1", true, true, "secretsmanager-fips.us-east-1.api.aws"),
        ] {
            assert_eq!(host("secretsmanager", region, is_fips, is_dual_stack), expected);
        }
        assert_eq!(host("ssm", "us-gov-west-1", true, false), "ssm.us-gov-west-1.amazonaws.com");
        assert_eq!(host("ssm", "us-east-1", true, false), "ssm-fips.us-east-1.amazonaws.com");
    }

    #[test]
    fn no_region_leads_to_another_host() {
        for wrong in ["", "evil.example/", "a@b", "a b", "us-east-1.evil"] {
            assert!(matches!(signed().endpoint(&GET, wrong), Err(LookupError::Refused(_))), "{wrong}");
        }
    }

    #[test]
    fn a_request_is_signed_for_its_service_and_says_who_we_are() {
        let signed = signed();
        let credentials = Credentials::new("AKID", "hush", Some("token".to_owned()), None, "test");
        let raw = Raw {
            permission: GET.permission,
            signed_for: GET.host,
            method: GET.method,
            url: format!("{}/", signed.endpoint(&GET, "eu-central-1").unwrap()),
            headers: vec![("content-type", "x".to_owned()), ("x-amz-target", GET.target.unwrap().to_owned())],
            body: "{}".to_owned(),
        };
        let request = signed.request(&raw, "eu-central-1", credentials).unwrap();
        let header = |name| request.headers().get(name).unwrap_or_default();
        let authorization = header("authorization");
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{authorization}");
        assert!(authorization.contains("/eu-central-1/secretsmanager/aws4_request"), "{authorization}");
        for covered in ["content-type", "host", "x-amz-date", "x-amz-security-token", "x-amz-target"] {
            assert!(authorization.contains(covered), "{covered}: {authorization}");
        }
        assert_eq!(header("x-amz-target"), "secretsmanager.GetSecretValue");
        assert_eq!(header("user-agent"), concat!("trailhound/", env!("CARGO_PKG_VERSION")));
        assert!(!format!("{signed:?}").contains("hush"));
    }

    #[test]
    fn a_refusal_is_read_wherever_its_code_stands() {
        let read =
            |status, header: &str, body: &str| of_refusal("ssm:GetParameter", refusal(status, header, body.as_bytes()));
        let denied = |error: &LookupError| {
            matches!(error, LookupError::AccessDenied { action, message }
            if action == "ssm:GetParameter" && message == "no")
        };
        assert!(denied(&read(400, "", r#"{"__type": "com.amazon.coral#AccessDeniedException", "message": "no"}"#)));
        assert!(denied(&read(403, "AccessDeniedException:http://x/", r#"{"Message": "no"}"#)));
        assert!(denied(&read(403, "", r#"{"Code": "AccessDeniedException", "Message": "no"}"#)));
        assert_eq!(read(400, "", r#"{"__type": "ThrottlingException"}"#), LookupError::Throttled);
        assert!(denied(&read(
            403,
            "",
            "<Error><Code>AccessDenied</Code><Message>no</Message><HostId>x</HostId></Error>"
        )));
        assert!(matches!(read(502, "", "<html>"), LookupError::Unavailable(_)));
        assert!(matches!(read(403, "", "<html>"), LookupError::AccessDenied { .. }));
        assert_eq!(read(400, "ParameterNotFound", "{}"), LookupError::Refused("ParameterNotFound".to_owned()));
    }
}
