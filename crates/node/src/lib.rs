//! The daemons: centre, dealer.
