//! The node's audit log, in its database.

use crate::error::NodeError;
use crate::state::State;
use jiff::Timestamp;
use konsil_governance::audit::Event;
use rusqlite::params;

impl State {
    /// Writes an event into the log. What cannot be logged must not happen: call this first, and
    /// stop when it fails.
    ///
    /// # Errors
    /// [`NodeError::Database`].
    pub fn log(&self, at: Timestamp, event: &Event) -> Result<(), NodeError> {
        let text = serde_json::to_string(event).map_err(|_| NodeError::Message("audit"))?;
        self.lock().execute(
            "INSERT INTO audit (time, event) VALUES (?, ?)",
            params![at.as_second(), text],
        )?;
        Ok(())
    }
}
