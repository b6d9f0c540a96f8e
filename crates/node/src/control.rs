//! Messages between the researcher and a centre, as JSON in control frames.

use crate::config::Peer;
use crate::error::NodeError;
use crate::lineage::Earlier;
use crate::requests::RequestStatus;
use konsil_governance::budget::{Amount, Currency};
use konsil_governance::{Revealed, Signed, StudyRequest};
use konsil_net::{Channel, Frame, Kind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// What the researcher asks of a centre.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Are you there? The only thing that centres ask outside a run.
    Presence,
    /// Which data do you have?
    Describe,
    /// Will you let this run?
    Submit {
        /// What is asked, signed.
        request: Box<Signed<StudyRequest>>,
        /// Whether to ask again where an approval is used up or over.
        again: bool,
    },
    /// Take part in a run.
    Run(Box<RunRequest>),
}

/// A run, as every centre gets it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunRequest {
    /// 32 hexadecimal digits.
    pub(crate) session: String,
    /// The study in its canonical form.
    pub(crate) study: String,
    /// Centres that take part, in order, with addresses.
    pub(crate) members: Vec<Peer>,
    /// The dealer, with address.
    pub(crate) dealer: Peer,
    /// Rows of each member's data set at most.
    pub(crate) rows_at_most: Vec<usize>,
    /// Earlier releases that cohort and groups are compared with.
    #[serde(default)]
    pub(crate) lineage: Vec<Earlier>,
    /// Whether small vectors go through one combiner.
    pub(crate) star: bool,
    /// The key that results are sealed to, hexadecimal.
    pub(crate) result_key: String,
}

/// What a centre answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// To `Presence`.
    Presence(Presence),
    /// To `Describe`.
    Description(Description),
    /// To `Submit`.
    Requested(RequestStatus),
    /// A step of a run begins.
    Progress {
        /// `connect`, `load`, `analysis` or `seal`.
        stage: String,
        /// Which analysis.
        analysis: String,
    },
    /// The run has ended here.
    Done(Box<RunSummary>),
    /// The run has failed here.
    Failed {
        /// For `konsil explain`.
        code: String,
        /// What happened and what to do; no values.
        text: String,
    },
}

/// That a node is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Version of the program.
    pub version: String,
    /// Its clock, in seconds since 1970.
    pub time: i64,
}

/// What a centre's budget has spent of what it allows, for its data set in this year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetState {
    /// In which currency.
    pub currency: Currency,
    /// Spent, reservations included.
    pub spent: Amount,
    /// The limit.
    pub limit: Amount,
}

/// A centre's public description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Name of the centre.
    pub centre: String,
    /// Version of the program.
    pub version: String,
    /// Name of the data set.
    pub dataset: String,
    /// Rows, rounded up to a bucket.
    pub rows_at_most: usize,
    /// The disclosure rules that the centre insists on.
    pub rules: konsil_disclosure::Policy,
    /// Earlier releases whose patients the centre keeps.
    #[serde(default)]
    pub lineage: Vec<Earlier>,
    /// Budgets that have a limit.
    #[serde(default)]
    pub budget: Vec<BudgetState>,
    /// Name and version of the dictionary: `hmsp@4`.
    pub dictionary_name: String,
    /// The dictionary as CSV.
    pub dictionary: String,
    /// Its hash.
    pub dictionary_hash: String,
}

/// How one analysis ended at one centre.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StageSummary {
    pub(crate) id: String,
    /// What was opened and released.
    pub(crate) ledger: Vec<Ledgered>,
    /// Code and text when it was withheld.
    pub(crate) withheld: Option<(String, String)>,
    pub(crate) rounds: u64,
    pub(crate) bytes: u64,
    pub(crate) milliseconds: u64,
}

/// A ledger line on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledgered {
    pub(crate) name: String,
    pub(crate) to: String,
    pub(crate) numbers: u64,
}

impl From<Revealed> for Ledgered {
    fn from(line: Revealed) -> Self {
        Self { name: line.name, to: line.to, numbers: line.numbers }
    }
}

/// What one centre reports after a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    pub(crate) stages: Vec<StageSummary>,
    /// Parts of everything released, sealed, hexadecimal.
    pub(crate) sealed: String,
    /// Bytes planned to be sent.
    pub planned_bytes: u64,
    /// Bytes sent, counted at the links, sealed parts included.
    pub sent_bytes: u64,
    /// Rounds.
    pub rounds: u64,
    /// Time from the request on, for links and data.
    pub connect_milliseconds: u64,
    /// Time for the analyses.
    pub secure_milliseconds: u64,
}

/// Sends one message.
pub(crate) fn send<T: Serialize>(channel: &Channel, message: &T) -> Result<(), NodeError> {
    let bytes = serde_json::to_vec(message).map_err(|_| NodeError::Message("sending"))?;
    channel.send(Kind::Control, &bytes).map_err(|error| NodeError::wire(error, &[]))
}

/// Waits for one message.
pub(crate) fn receive<T: DeserializeOwned>(channel: &Channel) -> Result<T, NodeError> {
    read(&channel.receive().map_err(|error| NodeError::wire(error, &[]))?)
}

/// Waits for one message until `deadline`; `None` when there is none by then.
pub(crate) fn receive_until<T: DeserializeOwned>(
    channel: &Channel,
    deadline: Instant,
) -> Result<Option<T>, NodeError> {
    let frame = channel.receive_until(deadline).map_err(|error| NodeError::wire(error, &[]))?;
    frame.as_ref().map(read).transpose()
}

fn read<T: DeserializeOwned>(frame: &Frame) -> Result<T, NodeError> {
    if frame.kind != Kind::Control {
        return Err(NodeError::Message("unexpected frame"));
    }
    serde_json::from_slice(&frame.payload).map_err(|_| NodeError::Message("unreadable message"))
}
