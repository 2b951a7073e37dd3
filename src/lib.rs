//! The Claude Agent SDK as a multi-tenant service on Cloudflare.
//!
//! A Worker decides who may do what for which account and sends it, as a [`account::command::Command`], to the account's
//! Durable Object. The object is the authority for conversations, turns and transcripts, and drives the account's container.
//! `domain` knows nobody; `store` and `agent` own the ports that `platform` implements; `account` composes them.

pub mod account;
pub mod agent;
pub mod api;
pub mod config;
pub mod digest;
pub mod directory;
pub mod domain;
pub mod gateway;
pub mod log;
#[cfg(target_arch = "wasm32")]
mod platform;
pub mod store;
pub mod workspace;
