//! Jobs: asked for, waited for, run, each in a thread of its own, and kept in files. A page may be left
//! and opened again; what waited when the program ended goes on when it starts again.

use crate::error::WebError;
use crate::researcher::bench::{Place, Words, Workbench, words};
use crate::researcher::records::{CentreState, Job, JobState, PlanView};
use crate::sessions::token;
use konsil_governance::{RequestState, Study};
use konsil_node::{Event, Outcome, Researcher, StudyRun, write_private};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::broadcast;

/// How often centres that have not decided are asked.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The code of a plan that others' results have made old, and how often one plans anew.
const STALE: &str = "K0629";
const PLANS_MOST: usize = 10;
/// How codes of links and of parties that are away begin.
const AWAY: &str = "K04";
/// Changes that a slow listener may fall behind.
const BEHIND_MOST: usize = 256;
/// Files of a job that are not part of its result.
const OWN_FILES: [&str; 2] = ["job.json", "body.html"];

/// All jobs of a folder.
pub(crate) struct Board {
    folder: PathBuf,
    jobs: Mutex<BTreeMap<String, Job>>,
    changes: broadcast::Sender<String>,
    /// Jobs by the keys of their calls.
    keys: Mutex<BTreeMap<String, String>>,
    /// Held while a job is changed: of two changes at once none is lost.
    changing: Mutex<()>,
}

impl Board {
    /// The jobs of a folder, as far as they can be read.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut jobs = BTreeMap::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let text = fs::read_to_string(entry.path().join("job.json")).unwrap_or_default();
            if let Ok(job) = serde_json::from_str::<Job>(&text) {
                jobs.insert(job.id.clone(), job);
            }
        }
        let (changes, _) = broadcast::channel(BEHIND_MOST);
        Self {
            folder: folder.to_owned(),
            jobs: Mutex::new(jobs),
            changes,
            keys: Mutex::default(),
            changing: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All jobs, the newest first.
    pub(crate) fn all(&self) -> Vec<Job> {
        let mut jobs: Vec<Job> = self.lock().values().cloned().collect();
        jobs.sort_by(|one, other| other.created.cmp(&one.created));
        jobs
    }

    pub(crate) fn job(&self, id: &str) -> Option<Job> {
        self.lock().get(id).cloned()
    }

    /// Ids of jobs that change, from now on.
    pub(crate) fn changes(&self) -> broadcast::Receiver<String> {
        self.changes.subscribe()
    }

    /// The folder of a job that is there.
    pub(crate) fn folder_of(&self, id: &str) -> Option<PathBuf> {
        self.lock().contains_key(id).then(|| self.folder.join(id))
    }

    fn put(&self, job: Job) -> Result<(), WebError> {
        let folder = self.folder.join(&job.id);
        fs::create_dir_all(&folder).map_err(|error| WebError::io(&folder, &error))?;
        let text = serde_json::to_string_pretty(&job).unwrap_or_default();
        let part = folder.join("job.json.part");
        write_private(&part, text.as_bytes())?;
        let path = folder.join("job.json");
        fs::rename(&part, &path).map_err(|error| WebError::io(&path, &error))?;
        self.show(job);
        Ok(())
    }

    /// Shows a job, kept or not.
    fn show(&self, job: Job) {
        let id = job.id.clone();
        self.lock().insert(id.clone(), job);
        // nobody may listen
        let _heard = self.changes.send(id);
    }

    /// Changes a job that is not over, and says so; gives whether it still goes on.
    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) -> bool {
        let _held = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = self.job(id).filter(|it| !it.state.is_over()) else { return false };
        let mut job = before.clone();
        change(&mut job);
        let goes_on = !job.state.is_over();
        // on a full disk a result can still be shown
        if job != before && self.put(job.clone()).is_err() {
            self.show(job);
        }
        goes_on
    }

    /// Progress is shown, and not kept.
    fn move_on(&self, id: &str, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.lock().get_mut(id).filter(|it| !it.state.is_over()) {
            change(job);
        }
        let _heard = self.changes.send(id.to_owned());
    }
}

impl Workbench {
    /// Begins a job: its study is asked for at all centres, and runs when all have said yes.
    pub(crate) fn start(self: &Arc<Self>, text: &str) -> Result<Job, Words> {
        let study = self.read(text)?;
        let (researcher, run) = self.plan(study.clone())?;
        let internal = |error: WebError| (error.code().to_owned(), error.to_string());
        let id = token().map_err(internal)?.get(..8).unwrap_or_default().to_owned();
        let plan = PlanView::of(&researcher, &run);
        let job = Job::new(&id, &study, plan);
        self.board.put(job.clone()).map_err(internal)?;
        if let Some(folder) = self.board.folder_of(&id) {
            let path = folder.join("study.toml");
            write_private(&path, text.as_bytes()).map_err(|error| words(&error))?;
        }
        self.work(id);
        Ok(job)
    }

    /// The same, once for each key; an empty key is none, and one of another study is refused.
    pub(crate) fn start_once(self: &Arc<Self>, text: &str, key: &str) -> Result<Job, Words> {
        if key.is_empty() {
            return self.start(text);
        }
        // held while the job begins, so that a second call waits for the first
        let mut keys = self.board.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(job) = keys.get(key).and_then(|id| self.board.job(id)) {
            let kept = self.board.folder_of(&job.id).unwrap_or_default().join("study.toml");
            if fs::read_to_string(kept).is_ok_and(|it| it == text) {
                return Ok(job);
            }
            let what = "this idempotency key was used for another study; choose a new one";
            return Err(("K0910".to_owned(), what.to_owned()));
        }
        let job = self.start(text)?;
        keys.insert(key.to_owned(), job.id.clone());
        Ok(job)
    }

    /// Puts a finished job on the board, as a demo does that has run already.
    ///
    /// # Errors
    /// Code and words for a person.
    pub fn put_finished(
        &self,
        (text, study): (&str, &Study),
        run: &StudyRun,
        outcome: &Outcome,
    ) -> Result<(), (String, String)> {
        let internal = |error: WebError| (error.code().to_owned(), error.to_string());
        let id = outcome.session.get(..8).unwrap_or("00000000").to_owned();
        let plan = PlanView::from(&run.plan);
        let mut job = Job::new(&id, study, plan);
        job.state = JobState::Running;
        job.centres = finished_centres(outcome);
        self.board.put(job.clone()).map_err(internal)?;
        if let Some(folder) = self.board.folder_of(&id) {
            let path = folder.join("study.toml");
            write_private(&path, text.as_bytes()).map_err(|error| words(&error))?;
        }
        self.keep(&mut job, run, outcome)?;
        self.board.put(job).map_err(internal)
    }

    /// Takes up jobs of an earlier start: those that waited go on, those that ran have ended.
    pub(crate) fn take_up(self: &Arc<Self>) {
        for job in self.board.all() {
            match job.state {
                JobState::Waiting => self.work(job.id),
                JobState::Running => {
                    let text =
                        "this program ended while the centres computed; ask again".to_owned();
                    self.board.change(&job.id, |job| end(job, ("K0907".to_owned(), text)));
                }
                _ => {}
            }
        }
    }

    /// Ends a job that waits. What the centres compute goes to its end.
    pub(crate) fn cancel(&self, id: &str) -> bool {
        let waits = self.board.job(id).is_some_and(|it| it.state == JobState::Waiting);
        if waits {
            self.board.change(id, |job| job.state = JobState::Cancelled);
        }
        waits
    }

    fn work(self: &Arc<Self>, id: String) {
        let bench = Arc::clone(self);
        thread::spawn(move || {
            if let Err(why) = bench.ask_and_run(&id) {
                bench.board.change(&id, |job| end(job, why));
            }
        });
    }

    /// Waits for all centres' yes, and runs. What was released by others meanwhile belongs to the plan:
    /// then it is made anew.
    fn ask_and_run(&self, id: &str) -> Result<(), Words> {
        for _ in 1..PLANS_MOST {
            match self.ask_and_run_once(id) {
                Err((code, _)) if code == STALE => {
                    self.board.change(id, |job| job.state = JobState::Waiting);
                }
                ended => return ended,
            }
        }
        self.ask_and_run_once(id)
    }

    fn ask_and_run_once(&self, id: &str) -> Result<(), Words> {
        let folder = self.board.folder_of(id).unwrap_or_default();
        let path = folder.join("study.toml");
        let text = fs::read_to_string(&path)
            .map_err(|error| ("K0902".to_owned(), format!("{}: {error}", path.display())))?;
        let (researcher, run) = loop {
            match self.asked(id, &text) {
                Ok(Some(ready)) => break ready,
                Ok(None) => {}
                // who waits for people outlives a centre that is away for a while
                Err((code, _)) if code.starts_with(AWAY) => {}
                Err(why) => return Err(why),
            }
            thread::sleep(ASK_AGAIN);
            if self.board.job(id).is_none_or(|it| it.state.is_over()) {
                return Ok(());
            }
        };
        // withdrawn at the last moment
        if !self.board.change(id, |job| job.state = JobState::Running) {
            return Ok(());
        }
        let follow = |event: Event| self.board.move_on(id, |job| follow(job, &event));
        let outcome = researcher.run(&run, &follow).map_err(|error| words(&error))?;
        let Some(mut done) = self.board.job(id) else { return Ok(()) };
        done.centres = finished_centres(&outcome);
        let result = self.keep(&mut done, &run, &outcome);
        self.board.change(id, |job| *job = done);
        result
    }

    /// Asks all centres once; the study ready to run where all have said yes.
    fn asked(&self, id: &str, text: &str) -> Result<Option<(Researcher, StudyRun)>, Words> {
        let (researcher, run) = self.plan(self.read(text)?)?;
        let answers = researcher.submit(&run, None, false).map_err(|error| words(&error))?;
        let mut statuses = Vec::with_capacity(answers.len());
        for (_, status) in answers {
            statuses.push(status.map_err(|error| words(&error))?);
        }
        let goes_on = self.board.change(id, |job| job.answered(&statuses));
        let open = [RequestState::Approved, RequestState::Waiting, RequestState::Question];
        if let Some(no) = statuses.iter().find(|it| !open.contains(&it.state)) {
            let code = if no.code.is_empty() { "K0616" } else { &no.code };
            let text = format!("{}: {} {}", no.centre, no.state, no.note);
            return Err((code.to_owned(), text.trim().to_owned()));
        }
        let all = statuses.iter().all(|it| it.state == RequestState::Approved);
        Ok((goes_on && all).then_some((researcher, run)))
    }

    /// Writes the files of a result, and says in the job how it ended.
    fn keep(&self, job: &mut Job, run: &StudyRun, outcome: &Outcome) -> Result<(), Words> {
        let folder = self.board.folder_of(&job.id).unwrap_or_default();
        let place = Place { folder: &folder, elapsed: outcome.elapsed };
        let body = self.hooks.write(run, outcome, place)?;
        write_private(&folder.join("body.html"), body.as_bytes()).map_err(|error| words(&error))?;
        job.session.clone_from(&outcome.session);
        job.sent_bytes = outcome.bytes().1;
        job.elapsed_seconds = outcome.elapsed.as_secs_f64();
        job.files = files_of(&folder);
        let withheld = outcome.analyses.iter().filter_map(|it| it.findings.as_ref().err());
        let first = withheld.clone().next().cloned();
        job.state = JobState::Released;
        if let Some(why) = first.filter(|_| withheld.count() == outcome.analyses.len()) {
            job.state = JobState::Withheld;
            (job.code, job.text) = why;
        }
        Ok(())
    }
}

fn end(job: &mut Job, (code, text): Words) {
    job.state = JobState::Failed;
    (job.code, job.text) = (code, text);
}

fn finished_centres(outcome: &Outcome) -> Vec<CentreState> {
    let centre = |(name, summary): &(String, konsil_node::RunSummary)| CentreState {
        name: name.clone(),
        request: 0,
        approval: "approved".to_owned(),
        note: String::new(),
        stage: "done".to_owned(),
        done: outcome.analyses.len(),
        percent: 100,
        planned_bytes: summary.planned_bytes,
        sent_bytes: summary.sent_bytes,
    };
    outcome.centres.iter().map(centre).collect()
}

/// Files of a result, by name.
fn files_of(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|it| it.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter(|it| !OWN_FILES.contains(&it.as_str()) && !it.ends_with(".part")).collect();
    names.sort();
    names
}

/// Takes in where a centre is.
fn follow(job: &mut Job, event: &Event) {
    let of = job.plan.analyses.len();
    let order: Vec<String> = job.plan.analyses.iter().map(|it| it.id.clone()).collect();
    let (Event::Progress { centre, .. } | Event::Done { centre }) = event;
    let Some(at) = job.centres.iter_mut().find(|it| it.name == *centre) else { return };
    match event {
        Event::Done { .. } => (at.stage, at.done, at.percent) = ("done".to_owned(), of, 100),
        Event::Progress { stage, analysis, .. } if stage == "part" => {
            let parts = analysis.rsplit_once(' ').and_then(|(_, it)| it.split_once('/'));
            let numbers = parts.and_then(|(done, of)| Some((done.parse().ok()?, of.parse().ok()?)));
            if let Some((done, of)) = numbers {
                let of: u32 = of;
                let done: u32 = done;
                at.percent = 100 * done.min(of) / of.max(1);
            }
        }
        Event::Progress { stage, analysis, .. } => {
            at.stage.clone_from(stage);
            at.percent = 0;
            if let Some(place) = order.iter().position(|it| it == analysis) {
                at.done = place;
            }
        }
    }
}
