//! `GET /health`: whether this deployment can do its work. It asks nobody and tells no secret.

use serde::Serialize;

use super::answer::Answer;
use crate::config::Config;
use crate::domain::Millis;

/// The answer of a deployment with this configuration.
#[must_use]
pub fn answer<J>(config: &Config, has_container: bool, now: Millis) -> Answer<J> {
    let body = HealthJson {
        status: "healthy",
        has_token: config.credential.is_some(),
        has_container,
        has_auth: config.auth.is_configured(),
        timestamp: now.to_iso(),
        version: env!("CARGO_PKG_VERSION"),
    };
    Answer::json(200, &body)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Health"))]
pub(super) struct HealthJson {
    status: &'static str,
    has_token: bool,
    has_container: bool,
    has_auth: bool,
    timestamp: String,
    version: &'static str,
}
