//! "And 41 more like this": how many messages told of what, lately.

use std::collections::HashMap;

use event::Timestamp;

use crate::alert::{Alert, AlertId};
use crate::notify::RateLimit;
use crate::outbox::Notification;

/// How many kinds are remembered. Principals are a stranger's to multiply.
const KINDS_MAX: usize = 10_000;

/// The messages of the last while, by kind.
///
/// It is a memory and no record: after a restart every kind may have its messages anew.
#[derive(Debug, Default)]
pub(super) struct Windows(HashMap<Alike, Window>);

/// What alerts that are alike share: the detection, and the principal by what it cannot choose itself. (Whoever assumes
/// a role names the session; a hundred names are to make one kind.)
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Alike {
    detection: String,
    account: Option<String>,
    principal: Option<String>,
}

impl Alike {
    fn of(alert: &Alert) -> Alike {
        let principal = [&alert.role_arn, &alert.actor_arn, &alert.user].into_iter().flatten().next();
        Alike { detection: alert.detection.clone(), account: alert.account.clone(), principal: principal.cloned() }
    }
}

/// A while, and the messages in it.
#[derive(Debug, Clone, Copy)]
struct Window {
    start: Timestamp,
    quota: u32,
    sent: u32,
}

impl Window {
    fn is_used_up(&self) -> bool {
        self.sent >= self.quota
    }
}

/// What is sent now, and what later.
#[derive(Debug, Default)]
pub(super) struct Allotted {
    /// One message each.
    pub(super) messages: Vec<Vec<Notification>>,
    /// What waits, and until when.
    pub(super) held: Vec<(Timestamp, AlertId)>,
}

impl Windows {
    /// Makes messages of notifications: of each kind as many single ones as it may have, the last of them with all that
    /// is left. A kind that has had its messages waits for the end of its while, and then has one message for each while
    /// until it has calmed down.
    pub(super) fn allot(&mut self, due: Vec<Notification>, limit: RateLimit, now: Timestamp) -> Allotted {
        if self.0.len() > KINDS_MAX {
            self.0.retain(|_, window| window.start <= now && now < limit.end(window.start));
            if self.0.len() > KINDS_MAX {
                self.0.clear();
            }
        }
        let mut order: Vec<Alike> = Vec::new();
        let mut kinds: HashMap<Alike, Vec<Notification>> = HashMap::new();
        for notification in due {
            let kind = Alike::of(&notification.alert);
            kinds
                .entry(kind.clone())
                .or_insert_with(|| {
                    order.push(kind);
                    Vec::new()
                })
                .push(notification);
        }
        let mut allotted = Allotted::default();
        for kind in order {
            let notifications = kinds.remove(&kind).unwrap_or_default();
            let window = self.window(kind, limit, now);
            if window.is_used_up() {
                let until = limit.end(window.start);
                allotted.held.extend(notifications.into_iter().map(|each| (until, each.alert.id)));
                continue;
            }
            let left = (window.quota - window.sent) as usize;
            let singles = if notifications.len() > left { left - 1 } else { notifications.len() };
            let mut notifications = notifications.into_iter();
            allotted.messages.extend(notifications.by_ref().take(singles).map(|each| vec![each]));
            allotted.messages.extend(Some(notifications.collect::<Vec<_>>()).filter(|rest| !rest.is_empty()));
        }
        allotted
    }

    /// Counts a message that was delivered.
    pub(super) fn note(&mut self, alert: &Alert) {
        if let Some(window) = self.0.get_mut(&Alike::of(alert)) {
            window.sent = window.sent.saturating_add(1);
        }
    }

    /// The while that `now` lies in.
    fn window(&mut self, kind: Alike, limit: RateLimit, now: Timestamp) -> Window {
        let fresh = |quota: u32| Window { start: now, quota: quota.max(1), sent: 0 };
        let window = match self.0.get(&kind) {
            Some(window) if window.start <= now && now < limit.end(window.start) => *window,
            // It goes on where it was stopped.
            Some(window) if window.is_used_up() && window.start <= now && now < limit.end(limit.end(window.start)) => {
                fresh(1)
            }
            _ => fresh(limit.messages),
        };
        self.0.insert(kind, window);
        window
    }
}
