//! The researcher asks the centres to let a study run.

use crate::config::Peer;
use crate::control::{Answer, Ask, receive, send};
use crate::desk::unwritable;
use crate::error::NodeError;
use crate::requests::RequestStatus;
use crate::researcher::{Researcher, StudyRun};
use konsil_governance::{Member, Permit, REQUEST, Signed, StudyRequest};
use konsil_mpc::Topology;
use konsil_net::Channel;
use std::thread;

/// What each centre says to a request, by name.
pub type Answers = Vec<(String, Result<RequestStatus, NodeError>)>;

impl Researcher {
    /// Sends a planned study, signed, to the centres that take part. With `again`, a centre at
    /// which the approval is used up or over takes it for a new request.
    ///
    /// # Errors
    /// [`NodeError`] when nothing can be sent at all; a centre's own refusal is in its answer.
    pub fn submit(
        &self,
        run: &StudyRun,
        permit: Option<&Signed<Permit>>,
        again: bool,
    ) -> Result<Answers, NodeError> {
        let members = run.members.iter().filter_map(|at| self.descriptions().get(*at));
        let member = |it: &crate::Description| Member {
            name: it.centre.clone(),
            rows_at_most: it.rows_at_most,
        };
        let body = StudyRequest {
            network: self.network.network.clone(),
            study: run.study.canonical(),
            members: members.map(member).collect(),
            star: run.topology == Topology::Star,
            permit: permit.cloned(),
        };
        let key = self.identity.public_key().to_string();
        let sign = |message: &[u8]| self.identity.sign(message).ok();
        let request = Signed::new(REQUEST, body, &key, sign).map_err(unwritable)?;
        let ask = &Ask::Submit { request: Box::new(request), again };
        let places = run.members.iter();
        let centres =
            places.filter_map(|at| Some((self.network.centre.get(*at)?, self.channels.get(*at)?)));
        Ok(thread::scope(|scope| {
            let threads: Vec<_> = centres
                .map(|(peer, channel)| (peer, scope.spawn(move || one(peer, channel, ask))))
                .collect();
            let join = |(peer, it): (&Peer, thread::ScopedJoinHandle<'_, _>)| {
                (peer.name.clone(), it.join().unwrap_or(Err(NodeError::Random)))
            };
            threads.into_iter().map(join).collect()
        }))
    }

    /// Plans a study among some of its centres, by name: those that have approved it.
    ///
    /// # Errors
    /// As [`Researcher::plan`].
    pub fn plan_among(&self, run: &StudyRun, names: &[String]) -> Result<StudyRun, NodeError> {
        let named =
            |at: &&usize| self.network.centre.get(**at).is_some_and(|it| names.contains(&it.name));
        let members = run.members.iter().filter(named).copied().collect();
        self.plan_members(run.study.clone(), run.topology, members)
    }

    /// The researcher's own key, as permits name it.
    #[must_use]
    pub fn key(&self) -> String {
        self.identity.public_key().to_string()
    }
}

fn one(peer: &Peer, channel: &Channel, ask: &Ask) -> Result<RequestStatus, NodeError> {
    let centre = || peer.name.clone();
    let lost = |error| match error {
        NodeError::Wire { error, .. } => NodeError::Lost { centre: centre(), error },
        other => other,
    };
    send(channel, ask).map_err(lost)?;
    match receive::<Answer>(channel).map_err(lost)? {
        Answer::Requested(status) if status.centre == peer.name => Ok(status),
        Answer::Failed { code, text } => Err(NodeError::Centre { centre: centre(), code, text }),
        _ => Err(NodeError::Message("answer to a request")),
    }
}
