//! One turn's life: its states, its way into the container, its frames and who follows them, its end and what is left to do behind it.

pub(super) mod active;
pub(super) mod clean_up;
pub mod events;
mod finish;
pub(super) mod items;
pub(super) mod model_calls;
mod park;
pub(super) mod progress;
pub(super) mod run;
mod spent;
mod state;
mod steer;
mod submit;
pub(super) mod wait;
mod waits;

pub(super) use state::Signal;
