//! Everything that touches the Workers runtime. It decodes, delegates and encodes: deleting it deletes no decision.

mod bindings;
mod constant;
mod container;
mod directory;
mod entry;
mod gateway;
mod host;
mod http;
mod in_flight;
mod objects;
mod relay;
mod sql;
mod stub;
