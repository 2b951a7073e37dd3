//! Workspaces outside of their container: what an index may say, and the port to the bucket that holds the packs, which `platform` implements.
//! It stores nothing and calls no container.

pub mod entry;
pub mod index;
pub mod port;
