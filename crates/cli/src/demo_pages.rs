//! The demo's pages: the researcher's, and those of all six centres, on one computer.

use crate::failure::Failure;
use crate::lab::Lab;
use crate::screen::Screen;
use crate::ui::{CommandHooks, open, say};
use konsil_governance::{RequestState, Study};
use konsil_mpc::Topology;
use konsil_net::Identity;
use konsil_node::{Clock, Desk, NodeError, Outcome, RequestStatus, Researcher, StudyRun};
use konsil_web::{
    CentreOptions, Links, NewAccount, ResearcherOptions, Role, Serving, Workbench, add_account,
    serve_centre_pages, serve_researcher,
};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// The password of the demo's accounts, which nobody is asked for.
const PASSWORD: &str = "the demo needs none";

/// Asks all centres for a study and lets their stewards say yes, as people do on the pages.
pub(crate) fn approve(
    lab: &Lab,
    (researcher, run): (&Researcher, &StudyRun),
) -> Result<(), Failure> {
    for (_, status) in researcher.submit(run, None, false)? {
        let RequestStatus { centre, number, state, .. } = status?;
        if state == RequestState::Approved {
            continue;
        }
        let folder = lab.centre_folder(&centre);
        let path = folder.join("steward.key");
        let key = Identity::open(&path)
            .map_err(|error| NodeError::File { path, what: error.to_string() })?;
        Desk::open(&folder, Clock::system())?.approve(number, &key, "the demo's first study")?;
    }
    Ok(())
}

/// Serves all pages, with a finished study, until the command is ended.
pub(crate) fn serve(
    lab: &Lab,
    ((text, study), run, outcome): ((&str, &Study), &StudyRun, &Outcome),
    (listen, browser): (&str, bool),
    screen: &Screen,
) -> Result<(), Failure> {
    let network = lab.folder().join("network.toml");
    let folder = lab.folder().join("researcher");
    let hooks = Box::new(CommandHooks);
    let bench = Arc::new(Workbench::new((&network, &folder), Topology::Star, hooks));
    bench
        .put_finished((text, study), run, outcome)
        .map_err(|(code, text)| Failure::coded(&code, text))?;
    let links = Links::default();
    let options = ResearcherOptions { listen: listen.to_owned(), links: links.clone() };
    let first = serve_researcher(bench, &options)?;
    let mut offices = Vec::new();
    for centre in lab.centres() {
        let folder = lab.centre_folder(centre);
        let key = Path::new("steward.key");
        let admin = NewAccount {
            name: "admin",
            password: Some(PASSWORD),
            roles: &[Role::Admin],
            key: None,
            oidc: None,
        };
        add_account(&folder, &admin)?;
        let roles = &[Role::Steward];
        add_account(&folder, &NewAccount { name: "steward", roles, key: Some(key), ..admin })?;
        let options = CentreOptions {
            listen: "127.0.0.1:0".to_owned(),
            hosts: Vec::new(),
            secure: false,
            demo: Some(links.clone()),
        };
        offices.push((centre.clone(), serve_centre_pages(&folder, &options)?));
    }
    links.set(roles(&first, &offices));
    say(&first, screen);
    let pages = |(centre, it): &(String, Serving)| json!({"centre": centre, "url": it.url});
    let centres: Vec<Value> = offices.iter().map(pages).collect();
    screen.json_line(&json!({
        "schema": "konsil.demo-pages.v1", "researcher": first.url, "centres": centres,
    }));
    if browser {
        open(&first.url);
    }
    first.wait();
    Ok(())
}

/// Who one may be: the researcher, each centre's steward, the first centre's administrator and patient.
fn roles(first: &Serving, offices: &[(String, Serving)]) -> Vec<(String, String)> {
    let mut roles = vec![(first.url.clone(), "researcher".to_owned())];
    let of = |office: &Serving, role: &str| format!("{}&as={role}", office.url);
    for (centre, office) in offices {
        roles.push((of(office, "steward"), format!("steward of {centre}")));
    }
    if let Some((centre, office)) = offices.first() {
        roles.push((of(office, "admin"), format!("administrator of {centre}")));
        roles.push((of(office, "patient"), format!("patient of {centre}")));
    }
    roles
}
