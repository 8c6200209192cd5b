//! What is added to every request and looked at in every answer.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use event::Timestamp;

/// Says who we are: `trailhound/0.1`, before what the SDK says of itself.
#[derive(Debug)]
pub(crate) struct UserAgent;

impl Intercept for UserAgent {
    fn name(&self) -> &'static str {
        "UserAgent"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The signature does not cover it.
        let headers = context.request_mut().headers_mut();
        let sdk = headers.get("user-agent").unwrap_or_default().to_owned();
        headers.insert("user-agent", format!("trailhound/{} {sdk}", env!("CARGO_PKG_VERSION")));
        Ok(())
    }
}

/// Takes down the service's own time from its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Date(Arc<Mutex<Option<Timestamp>>>);

impl Date {
    pub(crate) fn get(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "Date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|text| DateTime::from_str(text, Format::HttpDate).ok());
        let date = date.and_then(|date| Timestamp::from_seconds(date.secs()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}
