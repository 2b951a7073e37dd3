//! The port to the bucket on the R2 binding `FILES`. Bodies go in and out as they came: only then does the runtime know their length, and only
//! then do their bytes stay out of this program's memory.

use std::future::Future;

use worker::Env;
use worker::js_sys::{Array, Promise, Reflect};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;

use super::bindings::{Js, ObjectContext, R2Bucket, R2Object, R2Objects, object, thrown};
use crate::agent::Stream;
use crate::workspace::port::{Asked, Bucket, BucketError, Found};

/// The binding's name.
pub const BINDING: &str = "FILES";

/// The bucket, as one object uses it.
pub struct ObjectBucket {
    bucket: R2Bucket,
    prefix: String,
}

impl ObjectBucket {
    /// The bucket of the object whose context it is; none where the Worker has none.
    pub fn new(context: &ObjectContext, env: &Env) -> Option<Self> {
        let bucket = Reflect::get(env, &BINDING.into()).ok().filter(JsValue::is_object)?;
        Some(Self { bucket: bucket.unchecked_into(), prefix: format!("{}/", context.id().hex()) })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn bucket_error(error: JsValue) -> BucketError {
    BucketError(thrown(&error))
}

/// What a call of the bucket answers, read by `read`.
fn asked<T: 'static>(call: Js<Promise>, read: impl FnOnce(JsValue) -> Result<T, BucketError> + 'static) -> Asked<T> {
    fn boxed<T>(future: impl Future<Output = Result<T, BucketError>> + 'static) -> Asked<T> {
        Box::pin(future)
    }
    boxed(async move {
        let answer = JsFuture::from(call.map_err(bucket_error)?).await.map_err(bucket_error)?;
        read(answer)
    })
}

/// A number of bytes as JavaScript has it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number below 2^53")]
fn bytes(number: f64) -> u64 {
    number.max(0.0) as u64
}

impl Bucket for ObjectBucket {
    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn put(&self, key: &str, body: Stream) -> Asked<u64> {
        let body = body.into_body::<JsValue>().unwrap_or(JsValue::UNDEFINED);
        asked(self.bucket.put(key, &body), |stored| {
            // Null where a condition does not hold, and none was given.
            if !stored.is_object() {
                return Err(BucketError("the put has no answer".to_owned()));
            }
            Ok(bytes(stored.unchecked_ref::<R2Object>().size()))
        })
    }

    fn get(&self, key: &str) -> Asked<Option<Stream>> {
        asked(self.bucket.get(key), |stored| {
            if !stored.is_object() {
                return Ok(None);
            }
            let stored: R2Object = stored.unchecked_into();
            Ok(Some(Stream::new(Some(bytes(stored.size())), stored.body())))
        })
    }

    fn delete(&self, keys: &[String]) -> Asked<()> {
        let keys: Array = keys.iter().map(|key| JsValue::from_str(key)).collect();
        asked(self.bucket.delete(&keys), |_| Ok(()))
    }

    fn list(&self, after: Option<&str>) -> Asked<Vec<Found>> {
        let prefix = JsValue::from_str(&self.prefix);
        let after = after.map_or(JsValue::UNDEFINED, JsValue::from_str);
        let options = object(&[("prefix", &prefix), ("startAfter", &after)]);
        let call = options.and_then(|options| self.bucket.list(&options));
        asked(call, |page| {
            let page: R2Objects = page.unchecked_into();
            let found = page.objects().into_iter().map(|stored| {
                let stored: R2Object = stored.unchecked_into();
                #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds below 2^53")]
                let uploaded_at = stored.uploaded().get_time() as i64;
                Found { key: stored.key(), uploaded_at }
            });
            Ok(found.collect())
        })
    }
}
