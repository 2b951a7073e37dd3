//! The public HTTP contract, both ways: requests into commands, replies into answers. No runtime, no storage.

pub mod accounts;
pub mod actions;
pub mod answer;
mod answer_form;
pub mod auth;
pub mod bodiless;
pub mod body;
pub mod chat;
pub mod console;
pub mod content;
pub mod cors;
pub mod cursor;
pub mod document;
pub mod files;
pub mod fleet;
pub mod health;
pub mod include;
mod json_schema;
pub mod links;
pub mod managed;
mod on_conversation;
#[cfg(test)]
mod openapi;
mod parameters;
pub mod problem;
pub mod query;
pub mod request;
pub mod route;
pub mod schedules;
pub mod sse;
pub mod start_turn;
pub mod tokens;
mod turn_options;
mod turn_tools;
pub mod update;
pub mod usage;
pub mod webhooks;
