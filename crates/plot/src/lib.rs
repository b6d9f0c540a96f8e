//! Results as people read them: figures as SVG, a report as one HTML page, tables for the terminal.
//!
//! Nothing here knows patients, shares or centres' data; it sees released numbers and text only. All
//! text is escaped on the way in, so a label may hold anything. No output refers to another file,
//! runs a script or asks a server.
//!
//! *Invariant:* no attribute and no path of an SVG holds a number that is not finite.

pub mod document;
pub mod number;
pub mod report;
pub mod svg;
pub mod table;
pub mod terminal;

mod escape;

pub use escape::escape;
