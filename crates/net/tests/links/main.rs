//! Links under load, under attack and at their end.

#[cfg(test)]
mod corrections;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod mesh;
#[cfg(test)]
mod secure;
#[cfg(test)]
mod setup;
