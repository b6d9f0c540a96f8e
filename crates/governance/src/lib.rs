//! Studies, plans, policies.
