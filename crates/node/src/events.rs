//! What a centre's node writes into its log.

use crate::audit::last_event;
use crate::centre::CentreNode;
use crate::control::{Ledgered, RunRequest};
use crate::error::NodeError;
use konsil_cohort::CohortError;
use konsil_governance::audit::Event;
use konsil_governance::{Revealed, Stage};

impl CentreNode {
    /// An event of this node.
    pub(crate) fn event(&self, kind: &str, subject: &str) -> Event {
        Event::new(kind, subject, &format!("node@{}", self.config.name))
    }

    /// Logs that the node starts, and its data set when it is another one than before; signs the
    /// log as it is then.
    pub(crate) fn log_start(&self) -> Result<(), NodeError> {
        let start = self.event("start", &self.config.network);
        let start = start.with("version", &env!("CARGO_PKG_VERSION"));
        self.state.log(self.clock.now(), &start)?;
        match self.log_dataset() {
            // the node starts, and refuses every study
            Err(NodeError::NotFrozen(_))
            | Err(NodeError::Cohort(CohortError::SnapshotMismatch { .. })) => {}
            other => drop(other?),
        }
        self.signed_checkpoint().map(drop)
    }

    /// Logs the root over the data set's file when it is not the one logged last; gives the root,
    /// empty when there is no file.
    pub(crate) fn log_dataset(&self) -> Result<String, NodeError> {
        let name = &self.config.dataset;
        let root = match self.desk.fresh_root() {
            Err(NodeError::NoData(_)) => return Ok(String::new()),
            root => root?,
        };
        let last = last_event(&self.state.lock(), "dataset", name)?;
        let known = last.is_some_and(|it| it.facts.get("root") == Some(&root));
        if !known {
            let event = self.event("dataset", name).with("root", &root);
            self.state.log(self.clock.now(), &event)?;
        }
        Ok(root)
    }

    /// What is about to be opened by an analysis, as planned.
    pub(crate) fn planned_event(&self, session: &str, study: &str, stage: &Stage) -> Event {
        let event = self.event("analysis", study);
        let event = event.with("session", &session).with("analysis", &stage.id);
        stage.ledger.iter().map(Revealed::from).fold(event, |event, line| {
            event.with(&format!("opens {}", line.name), &format!("{} {}", line.numbers, line.to))
        })
    }

    /// What an analysis has opened: a line each.
    pub(crate) fn opened_events(
        &self,
        (session, study, analysis): (&str, &str, &str),
        ledger: &[Ledgered],
    ) -> Vec<Event> {
        let event = |line: &Ledgered| {
            (self.event("open", study).with("session", &session).with("analysis", &analysis))
                .with("name", &line.name)
                .with("to", &line.to)
                .with("numbers", &line.numbers)
        };
        ledger.iter().map(event).collect()
    }

    /// Logs that a request was refused: the code, no words of the request.
    pub(crate) fn log_refusal(&self, request: &RunRequest, error: &NodeError) {
        let session =
            request.session.get(..32).filter(|it| it.bytes().all(|b| b.is_ascii_hexdigit()));
        let event = self.event("refuse", session.unwrap_or("-")).with("code", &error.code());
        // a log that cannot be written has closed the node, and the request was refused already
        let _closed = self.state.log(self.clock.now(), &event);
    }
}
