//! Secrets Manager and the parameters of Systems Manager behind the port of secrets.

use std::time::Duration;

use event::arn::Arn;
use notify::{Secret, SecretStore};
use pipeline::collect::LookupError;
use pipeline::escape::single_line;
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
/// The waits before a call is tried again: nobody else does, and without its secrets a program cannot start.
const WAITS: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1500)];
/// The most characters that are repeated of what the service says.
const SAID_MAX: usize = 300;

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
    fn ask(&self, arn: &Arn<'_>) -> Result<String, LookupError> {
        if arn.service == "ssm" {
            let body = json!({ "Name": arn.as_str(), "WithDecryption": true });
            return Ok(self.0.call::<Parameter>(&GET_PARAMETER, arn.region, &body, CALL)?.parameter.value);
        }
        let body = json!({ "SecretId": arn.as_str() });
        let value = self.0.call::<SecretValue>(&GET_SECRET, arn.region, &body, CALL)?;
        value.secret_string.ok_or_else(|| LookupError::Refused("the secret holds bytes and no text".to_owned()))
    }
}

impl SecretStore for Secrets {
    fn get(&self, arn: &str) -> Result<Secret, String> {
        let wrong = || {
            "is no ARN such as arn:aws:secretsmanager:us-east-1:111122223333:secret:slack-AbCdEf or \
             arn:aws:ssm:us-east-1:111122223333:parameter/slack"
                .to_owned()
        };
        let arn = Arn::parse(arn).filter(is_secret).ok_or_else(wrong)?;
        let mut waits = WAITS.into_iter();
        loop {
            let error = match self.ask(&arn) {
                Ok(secret) => return Ok(Secret::new(secret)),
                Err(error) => error,
            };
            let is_passing = matches!(error, LookupError::Throttled | LookupError::Unavailable(_));
            match waits.next().filter(|_| is_passing) {
                Some(wait) => std::thread::sleep(wait),
                None => return Err(single_line(&error.to_string(), SAID_MAX).into_owned()),
            }
        }
    }
}

/// Whether this is a secret or a parameter.
fn is_secret(arn: &Arn<'_>) -> bool {
    match arn.service {
        "secretsmanager" => arn.resource.starts_with("secret:"),
        "ssm" => arn.resource.starts_with("parameter/"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Access;

    #[test]
    fn an_arn_tells_which_service_and_no_other_is_asked() {
        let is = |text: &str| Arn::parse(text).is_some_and(|arn| is_secret(&arn));
        assert!(is("arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:slack-AbCdEf"));
        assert!(is("arn:aws-us-gov:ssm:us-gov-west-1:111122223333:parameter/team/slack"));
        assert!(!is("arn:aws:ssm:us-east-1:111122223333:document/slack"));
        assert!(!is("arn:aws:iam::111122223333:role/slack"));

        let aws = Aws::open(&Access { region: Some("us-east-1".to_owned()), ..Access::default() }, None).unwrap();
        for wrong in ["hunter2", "arn:aws:iam::111122223333:role/slack"] {
            let error = aws.secrets().get(wrong).unwrap_err();
            assert!(error.contains("arn:aws:ssm:") && !error.contains("hunter2"), "{error}");
        }
    }
}
