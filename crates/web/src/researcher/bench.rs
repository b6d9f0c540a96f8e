//! The workbench: a researcher's network file and folder, and what can be done with them.

use crate::researcher::jobs::Board;
use crate::researcher::records::PlanView;
use konsil_cohort::Dictionary;
use konsil_governance::Study;
use konsil_mpc::Topology;
use konsil_node::{Description, NodeError, Outcome, Researcher, StudyRun};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what the centres say of themselves is shown without asking again.
const FRESH: Duration = Duration::from_secs(20);

/// A code and words for a person.
pub(crate) type Words = (String, String);

/// Where results are written to.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The folder of a job.
    pub folder: &'a Path,
    /// From the request to the last answer.
    pub elapsed: Duration,
}

/// What the command does for the pages: reading studies with their files, and writing results.
pub trait Hooks: Send + Sync {
    /// Reads a study file, with what it names of files beside it.
    ///
    /// # Errors
    /// Code and words for a person.
    fn read(&self, text: &str, folder: &Path) -> Result<Study, (String, String)>;

    /// Writes all files of a result, and gives the part of the report that a page shows.
    ///
    /// # Errors
    /// Code and words for a person.
    fn write(
        &self,
        run: &StudyRun,
        outcome: &Outcome,
        place: Place<'_>,
    ) -> Result<String, (String, String)>;
}

/// A researcher's network and studies.
pub struct Workbench {
    network: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) hooks: Box<dyn Hooks>,
    topology: Topology,
    pub(crate) board: Board,
    known: Mutex<Option<(Instant, Arc<Known>)>>,
}

/// What the centres say of themselves.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) centres: Vec<Description>,
    pub(crate) dictionary: Dictionary,
}

impl std::fmt::Debug for Workbench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Workbench[{}]", self.folder.display())
    }
}

/// Code and words of an error.
pub(crate) fn words(error: &NodeError) -> Words {
    (error.code().to_owned(), error.to_string())
}

impl Workbench {
    /// A workbench on a network file, with its jobs in a folder.
    #[must_use]
    pub fn new(
        (network, folder): (&Path, &Path),
        topology: Topology,
        hooks: Box<dyn Hooks>,
    ) -> Self {
        let board = Board::read(&folder.join("jobs"));
        Self {
            network: network.to_owned(),
            folder: folder.to_owned(),
            hooks,
            topology,
            board,
            known: Mutex::default(),
        }
    }

    /// Links to all centres.
    pub(crate) fn connect(&self) -> Result<Researcher, Words> {
        Researcher::connect(&self.network).map_err(|error| words(&error))
    }

    /// What the centres say of themselves; asked again after a while.
    pub(crate) fn known(&self) -> Result<Arc<Known>, Words> {
        let mut held = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, known)) = held.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(known));
        }
        let researcher = self.connect()?;
        let known = Arc::new(Known {
            centres: researcher.descriptions().to_vec(),
            dictionary: researcher.dictionary().clone(),
        });
        *held = Some((Instant::now(), Arc::clone(&known)));
        Ok(known)
    }

    /// Reads a study's text.
    pub(crate) fn read(&self, text: &str) -> Result<Study, Words> {
        self.hooks.read(text, &self.folder)
    }

    /// Plans a study. Patients are not looked at.
    pub(crate) fn plan(&self, study: Study) -> Result<(Researcher, StudyRun), Words> {
        let researcher = self.connect()?;
        let run = researcher.plan(study, self.topology).map_err(|error| words(&error))?;
        Ok((researcher, run))
    }

    /// The same, for people to read.
    pub(crate) fn plan_view(&self, study: Study) -> Result<PlanView, Words> {
        let (researcher, run) = self.plan(study)?;
        Ok(PlanView::of(&researcher, &run))
    }
}
