//! Notifiers: how people and machines are told of alerts.
