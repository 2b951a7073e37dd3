//! The Claude Agent SDK as a multi-tenant service on Cloudflare.
//!
//! A Worker decides who may do what for which account and sends it, as an `account::command::Command`, to the account's
//! Durable Object. The object is the authority for conversations, turns and transcripts, and drives the account's container.
//! `domain` knows nobody; `store` and `agent` own the ports that `platform` implements; `account` composes them.
//!
//! In the product, which is wasm32, every module is private, so that the compiler reports dead code. Natively they are public to the
//! suites in `tests/`. Each is declared twice and not by a macro, because rustfmt formats only the modules that it sees declared.

#[cfg(target_arch = "wasm32")]
mod account;
#[cfg(not(target_arch = "wasm32"))]
pub mod account;
#[cfg(target_arch = "wasm32")]
mod agent;
#[cfg(not(target_arch = "wasm32"))]
pub mod agent;
#[cfg(target_arch = "wasm32")]
mod api;
#[cfg(not(target_arch = "wasm32"))]
pub mod api;
#[cfg(target_arch = "wasm32")]
mod config;
#[cfg(not(target_arch = "wasm32"))]
pub mod config;
#[cfg(target_arch = "wasm32")]
mod digest;
#[cfg(not(target_arch = "wasm32"))]
pub mod digest;
#[cfg(target_arch = "wasm32")]
mod directory;
#[cfg(not(target_arch = "wasm32"))]
pub mod directory;
#[cfg(target_arch = "wasm32")]
mod domain;
#[cfg(not(target_arch = "wasm32"))]
pub mod domain;
#[cfg(target_arch = "wasm32")]
mod gateway;
#[cfg(not(target_arch = "wasm32"))]
pub mod gateway;
#[cfg(target_arch = "wasm32")]
mod log;
#[cfg(not(target_arch = "wasm32"))]
pub mod log;
#[cfg(target_arch = "wasm32")]
mod platform;
#[cfg(target_arch = "wasm32")]
mod store;
#[cfg(not(target_arch = "wasm32"))]
pub mod store;
pub mod workspace;
