//! A password, and where a good one comes from.

use std::fmt;

use super::DoorError;

/// Thirty-two characters that nobody mistakes for each other.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The characters of a generated password: five bits each, 130 together.
const LENGTH: usize = 26;

/// A password. Its `Debug` does not show it.
pub struct Password(String);

impl Password {
    /// Makes a password from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// Where the operating system gives no random bytes.
    pub fn generate() -> Result<Password, DoorError> {
        let mut bytes = [0_u8; LENGTH];
        getrandom::fill(&mut bytes).map_err(DoorError::Randomness)?;
        let text = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
        Ok(Password(text))
    }

    /// Takes a password that somebody chose.
    ///
    /// # Errors
    ///
    /// Where it is empty or holds a control character.
    pub fn given(text: impl Into<String>) -> Result<Password, DoorError> {
        let text = text.into();
        if text.is_empty() {
            return Err(DoorError::Password("empty"));
        }
        if text.chars().any(char::is_control) {
            return Err(DoorError::Password("not printable"));
        }
        Ok(Password(text))
    }

    /// Returns the password, to be shown to its user once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::{LENGTH, Password};

    #[test]
    fn generated_passwords_are_long_and_differ() {
        let one = Password::generate().unwrap();
        let other = Password::generate().unwrap();
        assert_eq!(one.reveal().len(), LENGTH);
        assert_ne!(one.reveal(), other.reveal());
    }

    #[test]
    fn debug_hides_it() {
        let password = Password::given("correct horse").unwrap();
        assert_eq!(format!("{password:?}"), "Password(..)");
    }

    #[test]
    fn nothing_and_control_characters_are_no_password() {
        assert!(Password::given("").is_err());
        assert!(Password::given("a\nb").is_err());
    }
}
