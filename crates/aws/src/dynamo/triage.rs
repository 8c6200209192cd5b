//! What people do with alerts that stand in their table: they silence them, and say that they have seen to them.
//!
//! Either takes an alert out of the outbox, in the step that marks it: nobody is told any more, also where somebody has
//! claimed it meanwhile and settles it afterwards. An acknowledgement that is taken back does not put it there again.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use pipeline::alert::{Acknowledgement, Alert};
use pipeline::state::StateError;
use pipeline::suppress::SuppressionId;

use super::alerts::{AlertTable, key};
use super::item::text;

impl AlertTable {
    /// Marks alerts of this table as suppressed. One that is suppressed stays as it is. Returns how many were not.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn suppress(&self, alerts: &[Alert], by: &SuppressionId) -> Result<u64, StateError> {
        self.mark(alerts, &|update| {
            update
                .condition_expression("attribute_exists(event_id) AND attribute_not_exists(suppressed_by)")
                .update_expression("SET suppressed_by = :by REMOVE pending, due, claimed_by")
                .expression_attribute_values(":by", text(by.as_str()))
        })
    }

    /// Marks alerts of this table as seen to. One that was acknowledged before stays so, by whom it was. Returns how many
    /// were not.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn acknowledge(&self, alerts: &[Alert], acknowledgement: &Acknowledgement) -> Result<u64, StateError> {
        let Acknowledgement { at, by, note } = acknowledgement;
        self.mark(alerts, &|update| {
            update
                .condition_expression("attribute_exists(event_id) AND attribute_not_exists(acknowledged_at)")
                .update_expression(
                    "SET acknowledged_at = :at, acknowledged_by = :by, acknowledged_note = :note REMOVE pending, due, claimed_by",
                )
                .expression_attribute_values(":at", text(at.to_string()))
                .expression_attribute_values(":by", text(by))
                .expression_attribute_values(":note", text(note))
        })
    }

    /// Takes acknowledgements back. Returns how many alerts had one.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn unacknowledge(&self, alerts: &[Alert]) -> Result<u64, StateError> {
        self.mark(alerts, &|update| {
            update
                .condition_expression("attribute_exists(acknowledged_at)")
                .update_expression("REMOVE acknowledged_at, acknowledged_by, acknowledged_note")
        })
    }

    /// Updates each alert. Returns for how many the condition held.
    fn mark(
        &self,
        alerts: &[Alert],
        say: &dyn Fn(UpdateItemFluentBuilder) -> UpdateItemFluentBuilder,
    ) -> Result<u64, StateError> {
        let mut changed = 0;
        for alert in alerts {
            let update = say(self.update(key(alert)));
            let outcome = self.conditional(update.send()).map_err(|error| self.failed(error))?;
            changed += u64::from(outcome.is_ok());
        }
        Ok(changed)
    }
}
