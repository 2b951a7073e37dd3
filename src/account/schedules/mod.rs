//! Schedules: which there are, and their runs when they are due.

pub mod command;
mod commands;
mod run;
