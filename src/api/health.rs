//! `GET /health`: whether this deployment can do its work. It asks nobody and tells no secret.

use serde_json::json;

use super::answer::Answer;
use crate::config::Config;
use crate::domain::{Millis, RequestId};

/// The answer of a deployment with this configuration.
#[must_use]
pub fn answer<J>(config: &Config, has_container: bool, now: Millis, request_id: &RequestId) -> Answer<J> {
    let body = json!({
        "status": "healthy",
        "hasToken": config.credential.is_some(),
        "hasContainer": has_container,
        "hasAuth": config.auth.is_configured(),
        "timestamp": now.to_iso(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    Answer::json(200, &body, request_id)
}
