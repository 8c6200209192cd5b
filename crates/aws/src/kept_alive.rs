//! HTTP for a call that is answered after minutes, without a byte before that.
//!
//! A NAT gateway forgets a connection that is silent for 350 seconds, and tells nobody: whoever waits would wait in vain.
//! TCP's own probes keep it known. The SDKs' client sends none and cannot be told to; that of the object store probes
//! after 15 seconds of silence, which a test of `functions` looks after.
//! <https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html#nat-gateway-troubleshooting-timeout>

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::HttpError;
use aws_smithy_types::body::SdkBody;
use object_store::ClientOptions;
use object_store::client::{HttpConnector as _, HttpErrorKind, HttpRequestBody, ReqwestConnector};

use crate::access::CONNECT;

/// Makes each call over a connection of its own, which is probed while it is silent.
#[derive(Debug)]
pub(crate) struct KeptAlive;

impl HttpConnector for KeptAlive {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(exchange(request))
    }
}

async fn exchange(request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    // Whoever calls has a time limit; an endpoint of the environment may be any address.
    let options = ClientOptions::new().with_allow_http(true).with_connect_timeout(CONNECT).with_timeout_disabled();
    let client = ReqwestConnector::default().connect(&options);
    let client = client.map_err(|error| ConnectorError::other(error.into(), None))?;
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let request = request.map(|body| HttpRequestBody::from(body.bytes().map(<[u8]>::to_vec).unwrap_or_default()));
    let answer = client.execute(request).await.map_err(|error| match error.kind() {
        HttpErrorKind::Timeout => ConnectorError::timeout(error.into()),
        _ => ConnectorError::io(error.into()),
    })?;
    let (parts, body) = answer.into_parts();
    let status = parts.status.as_u16().try_into();
    let status = status.map_err(|error: HttpError| ConnectorError::other(error.into(), None))?;
    let mut answer = HttpResponse::new(status, SdkBody::from_body_1_x(body));
    for (name, value) in &parts.headers {
        // What is no text nobody here reads.
        if let Ok(value) = value.to_str() {
            _ = answer.headers_mut().try_append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(answer)
}
