//! Everything that touches the Workers runtime. It decodes, delegates and encodes: deleting it deletes no decision.

mod account_do;
mod attachments;
mod bindings;
mod container;
mod directory_do;
mod files;
mod gateway_entrypoint;
mod http;
mod interned;
mod metrics;
mod object_runtime;
mod operators;
mod outgoing;
mod panic_guard;
mod purge_cron;
mod r2;
mod rate;
mod relay;
mod runtime;
mod sql;
mod stub;
mod transfer;
mod transfer_in;
mod vars;
mod worker;
mod zones;
