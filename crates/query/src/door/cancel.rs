//! Who may cancel which statement: psql's Ctrl-C comes in over a connection of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::DoorError;

/// The sessions that can be cancelled, by their number.
#[derive(Default)]
pub(super) struct Register {
    sessions: Mutex<HashMap<i32, Cancellable>>,
}

struct Cancellable {
    secret: i32,
    cancel: watch::Sender<()>,
}

/// A session's place in the register, given up when it is dropped.
pub(super) struct Place {
    register: Arc<Register>,
    pub(super) pid: i32,
    pub(super) secret: i32,
    pub(super) cancelled: watch::Receiver<()>,
}

impl Register {
    /// Enters a session under a number and a secret that nobody can guess.
    pub(super) fn enter(self: &Arc<Register>) -> Result<Place, DoorError> {
        let (cancel, cancelled) = watch::channel(());
        let [secret, mut pid] = [random()?, random()?];
        let mut sessions = self.lock();
        pid = (pid & i32::MAX).max(1);
        while sessions.contains_key(&pid) {
            pid = pid.checked_add(1).unwrap_or(1);
        }
        sessions.insert(pid, Cancellable { secret, cancel });
        Ok(Place { register: Arc::clone(self), pid, secret, cancelled })
    }

    /// Cancels what a session is doing, where the secret is right. The one who asks is told nothing.
    pub(super) fn cancel(&self, pid: i32, secret: i32) {
        if let Some(session) = self.lock().get(&pid)
            && session.secret == secret
        {
            session.cancel.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Cancellable>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.register.lock().remove(&self.pid);
    }
}

fn random() -> Result<i32, DoorError> {
    let mut bytes = [0_u8; 4];
    getrandom::fill(&mut bytes).map_err(DoorError::Randomness)?;
    Ok(i32::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Register;

    #[test]
    fn only_the_secret_cancels() {
        let register = Arc::new(Register::default());
        let place = register.enter().unwrap();
        register.cancel(place.pid, place.secret.wrapping_add(1));
        assert!(!place.cancelled.has_changed().unwrap());
        register.cancel(place.pid, place.secret);
        assert!(place.cancelled.has_changed().unwrap());
    }

    #[test]
    fn a_place_is_given_up() {
        let register = Arc::new(Register::default());
        drop(register.enter().unwrap());
        assert!(register.lock().is_empty());
    }
}
