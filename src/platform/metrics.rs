//! Data points of Analytics Engine: the binding `METRICS`, if there is one.

use worker::Env;
use worker::js_sys::Array;
use worker::wasm_bindgen::{JsCast, JsValue};

use super::bindings::{self, Environment};
use crate::log::Line;
use crate::log::point::Point;

/// Writes the data point that a line is, if it is one. It is not waited for, and one that is lost is lost.
pub fn write(env: &Env, line: &Line<'_>) {
    let Some(point) = Point::of(line) else { return };
    let Some(dataset) = env.unchecked_ref::<Environment>().metrics() else { return };
    let indexes = Array::of1(&JsValue::from_str(point.index));
    let blobs: Array = point.blobs.iter().map(|text| JsValue::from_str(text)).collect();
    let doubles: Array = point.doubles.iter().map(|number| JsValue::from_f64(*number)).collect();
    if let Ok(data) = bindings::object(&[("indexes", &indexes), ("blobs", &blobs), ("doubles", &doubles)]) {
        drop(dataset.write_data_point(&data));
    }
}
