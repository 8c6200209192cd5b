//! Logging in: SCRAM-SHA-256, the same for a user there is and for one there is not.

use std::time::Duration;

use bytes::{Buf, Bytes};
use pgwire::api::auth::Password as Verifier;
use pgwire::api::auth::sasl::SCRAM_SHA_256_METHOD;
use pgwire::api::auth::sasl::scram::{ScramServerAuth, gen_salted_password};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::Authentication;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::problem::{Failure, Problem};
use super::wire::{ReadError, Request, Wire};
use super::{DoorError, Entrance};

/// How often the password is hashed, which the client does at each login.
const ITERATIONS: usize = 4096;

/// How long one failure waits for its answer. Failures wait in a line, so that they are answered at this pace however
/// many guess at once.
const FAILURE: Duration = Duration::from_millis(500);

/// Decides who comes in.
pub(super) struct Gate {
    known: Option<Known>,
    /// What a user there is not is answered with: another salt for each name, the same one each time.
    secret: [u8; 32],
    failures: Mutex<()>,
}

struct Known {
    name: String,
    verifier: Verifier,
}

impl Gate {
    pub(super) fn new(entrance: &Entrance) -> Result<Gate, DoorError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(DoorError::Randomness)?;
        let mut gate = Gate { known: None, secret, failures: Mutex::new(()) };
        if let Entrance::User { name, password } = entrance {
            let salt = gate.salt(name);
            let salted = gen_salted_password(password.reveal(), &salt, ITERATIONS);
            gate.known = Some(Known { name: name.clone(), verifier: Verifier::new(Some(salt), salted) });
        }
        Ok(gate)
    }

    /// Lets `user` prove who they are.
    pub(super) async fn admit(&self, wire: &mut Wire, user: &str) -> Result<(), Failure> {
        let Some(known) = &self.known else { return Ok(()) };
        match self.scram(wire, known, user).await? {
            Ok(()) => Ok(()),
            Err(problem) => {
                let _turn = self.failures.lock().await;
                tokio::time::sleep(FAILURE).await;
                Err(problem.into())
            }
        }
    }

    async fn scram(&self, wire: &mut Wire, known: &Known, user: &str) -> Result<Result<(), Problem>, Failure> {
        ask(wire, Authentication::SASL(vec![SCRAM_SHA_256_METHOD.to_owned()])).await?;
        let Some(first) = first_message(answer(wire).await?) else {
            return Ok(Err(Problem::fatal("28000", "only SCRAM-SHA-256 is offered")));
        };
        let verifier = if user == known.name { known.verifier.clone() } else { self.nobody(user) };
        let Ok((challenge, proving)) = ScramServerAuth::new().on_client_first_message(&first, verifier) else {
            return Ok(Err(Problem::fatal("08P01", "malformed SCRAM message")));
        };
        ask(wire, Authentication::SASLContinue(challenge.into())).await?;
        let proof = answer(wire).await?;
        match proving.on_client_final_message(&proof) {
            Ok(signature) if user == known.name => {
                let done = Authentication::SASLFinal(signature.into());
                wire.put(PgWireBackendMessage::Authentication(done))?;
                Ok(Ok(()))
            }
            _ => Ok(Err(Problem::fatal("28P01", format!("password authentication failed for user \"{user}\"")))),
        }
    }

    /// What nobody's password fits.
    fn nobody(&self, user: &str) -> Verifier {
        let mut salted = Sha256::new();
        salted.update(self.secret);
        salted.update(b"nobody");
        salted.update(user);
        Verifier::new(Some(self.salt(user)), salted.finalize().to_vec())
    }

    fn salt(&self, user: &str) -> Vec<u8> {
        let mut salt = Sha256::new();
        salt.update(self.secret);
        salt.update(user);
        salt.finalize()[..16].to_vec()
    }
}

async fn ask(wire: &mut Wire, question: Authentication) -> Result<(), Failure> {
    wire.put(PgWireBackendMessage::Authentication(question))?;
    Ok(wire.flush().await?)
}

async fn answer(wire: &mut Wire) -> Result<Bytes, Failure> {
    match wire.request().await {
        Ok(Request::Password(answer)) => Ok(answer),
        Ok(Request::Terminate) | Err(ReadError::Gone) => Err(Failure::Gone),
        Ok(_) => Err(Problem::fatal("08P01", "expected an answer to the authentication request").into()),
        Err(ReadError::Protocol(what)) => Err(Problem::fatal("08P01", what).into()),
    }
}

/// Returns what SCRAM says first: after the mechanism's name and a length.
fn first_message(mut answer: Bytes) -> Option<Bytes> {
    let end = answer.iter().position(|byte| *byte == 0)?;
    if answer.split_to(end) != SCRAM_SHA_256_METHOD {
        return None;
    }
    answer.advance(1);
    let length = usize::try_from(answer.try_get_i32().ok()?).ok()?;
    (length == answer.len()).then_some(answer)
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Gate, first_message};
    use crate::door::{Entrance, Password};

    #[test]
    fn a_user_there_is_not_has_a_salt_that_stays() {
        let password = Password::given("secret").unwrap();
        let gate = Gate::new(&Entrance::User { name: "reader".to_owned(), password }).unwrap();
        assert_eq!(gate.nobody("ghost").salt(), gate.nobody("ghost").salt());
        assert_ne!(gate.nobody("ghost").salt(), gate.nobody("other").salt());
        assert_eq!(gate.nobody("ghost").salt().unwrap().len(), 16);
        let known = gate.known.unwrap();
        assert_eq!(known.verifier.salt().unwrap().len(), 16);
    }

    #[test]
    fn only_a_whole_first_message_is_taken() {
        let whole = b"SCRAM-SHA-256\0\x00\x00\x00\x03n,,";
        assert_eq!(first_message(Bytes::from_static(whole)).as_deref(), Some(&b"n,,"[..]));
        for length in 0..whole.len() {
            assert_eq!(first_message(Bytes::copy_from_slice(&whole[..length])), None, "{length}");
        }
        assert_eq!(first_message(Bytes::from_static(b"PLAIN\0\x00\x00\x00\x03n,,")), None);
    }
}
