//! Frames between parties: in memory, over TLS, with named faults.
//!
//! A [`Channel`] is one authenticated, framed, duplex link to one peer. It runs over TLS 1.3 with
//! hybrid post-quantum key agreement ([`connect`], [`Listener`]) or inside one process
//! ([`memory`]); both run the same decoder. A [`Mesh`] of channels is what the engine sees as its
//! [`Wire`](konsil_mpc::Wire).
//!
//! **Invariant:** nothing a peer sends is used before it was checked: the checksum of a header
//! before its length, version, session and limit before anything is allocated.
//!
//! **Invariant:** this crate knows nothing of patients, studies or shares. Payloads are bytes.

pub mod channel;
pub mod corrections;
pub mod faults;
pub mod frame;
pub mod identity;
pub mod listener;
pub mod memory;
pub mod mesh;
pub mod options;
pub mod session;
pub mod tls;

mod decode;
mod inbox;
mod pool;
mod secure;
mod stream;
mod sync;
mod ticker;

pub use channel::{Channel, ChannelTraffic};
pub use corrections::{ChannelCorrections, send_corrections};
pub use decode::Frame;
pub use faults::{Fault, FaultKind, Faults, Shape};
pub use frame::{Binding, Kind, PROTOCOL_VERSION};
pub use identity::{Identity, IdentityError, PublicKey};
pub use listener::{Incoming, Listener, Refused, Switchboard};
pub use mesh::Mesh;
pub use options::Options;
pub use session::{Hello, Member, PartyId, Role, connect, connect_mesh};
pub use tls::Allow;
