//! Secrets Manager and the parameters of Systems Manager behind the port of secrets.

use std::time::Duration;

use event::arn::Arn;
use notify::{Secret, SecretStore};
use pipeline::service::CallError;
use serde::Deserialize;
use serde_json::json;

use crate::access::Aws;
use crate::signed::{Operation, Signed};

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
const GET_SECRET: Operation<'_> = Operation {
    permission: "secretsmanager:GetSecretValue",
    service: "Secrets Manager",
    host: "secretsmanager",
    target: Some("secretsmanager.GetSecretValue"),
    ..Operation::POST
};
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>
const GET_PARAMETER: Operation<'_> = Operation {
    permission: "ssm:GetParameter",
    service: "SSM",
    host: "ssm",
    target: Some("AmazonSSM.GetParameter"),
    ..Operation::POST
};

/// How long one call may take.
const CALL: Duration = Duration::from_secs(10);
/// The waits before a call is tried again: nobody else does so soon.
const WAITS: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1500)];

/// Secrets of AWS, in whichever region each of them lies.
#[derive(Debug)]
pub struct Secrets(Signed);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SecretValue {
    secret_string: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    parameter: ParameterValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ParameterValue {
    value: String,
}

impl Aws {
    /// Secrets Manager and the parameters of Systems Manager, read with the credentials themselves.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        Secrets(Signed::new(&self.edge, &self.base))
    }
}

impl Secrets {
    fn ask(&self, arn: &Arn<'_>) -> Result<String, CallError> {
        if arn.service == "ssm" {
            let body = json!({ "Name": arn.as_str(), "WithDecryption": true });
            return Ok(self.0.call::<Parameter>(&GET_PARAMETER, arn.region, &body, CALL)?.parameter.value);
        }
        let body = json!({ "SecretId": arn.as_str() });
        let value = self.0.call::<SecretValue>(&GET_SECRET, arn.region, &body, CALL)?;
        value.secret_string.ok_or_else(|| CallError::Refused("the secret holds bytes and no text".to_owned()))
    }
}

impl SecretStore for Secrets {
    fn get(&self, arn: &Arn<'_>) -> Result<Secret, CallError> {
        let mut waits = WAITS.into_iter();
        loop {
            let error = match self.ask(arn) {
                Ok(secret) => return Ok(Secret::new(secret)),
                Err(error) => error,
            };
            match waits.next().filter(|_| error.may_pass()) {
                Some(wait) => std::thread::sleep(wait),
                None => return Err(error),
            }
        }
    }
}
