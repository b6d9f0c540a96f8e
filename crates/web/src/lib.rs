//! What people see in a browser, and what programs call: the pages and the interface of a researcher
//! and of a centre.
//!
//! Two servers, each for one place. The *researcher's* runs on the researcher's own computer and listens
//! on loopback: only there are the parts of a result added up. The *centre's* works on a centre's folder
//! beside the node, which it cannot reach into: it reads the node's books and signs decisions, and holds
//! no link to another centre.
//!
//! **Invariant:** a page asks no other host for anything, and a request without a session sees nothing but
//! what is public. **Invariant:** a form or a call that changes something carries the session's own token.

mod assets;
mod centre;
mod error;
mod forms;
mod headers;
mod page;
mod passwords;
mod problem;
mod researcher;
mod serve;
mod sessions;
mod texts;
mod view;

pub use centre::{
    Account, CentreOptions, NewAccount, Role, add_account, read_accounts, remove_account,
    serve_centre_pages,
};
pub use error::WebError;
pub use page::Links;
pub use researcher::{Hooks, Place, ResearcherOptions, Workbench, serve_researcher};
pub use serve::Serving;
