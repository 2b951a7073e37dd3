//! JavaScript APIs of the Workers runtime that `worker` 0.8.7 does not wrap, or wraps without catching what they throw.

use worker::js_sys::{self, Array, Function, JsString, Object, Promise, Reflect, Uint8Array};
use worker::wasm_bindgen::closure::Closure;
use worker::wasm_bindgen::{self, JsCast, JsValue, prelude::wasm_bindgen};
use worker::web_sys;

/// What a JavaScript call gives.
pub type Js<T = JsValue> = Result<T, JsValue>;

#[wasm_bindgen(wasm_bindgen_futures = worker::wasm_bindgen_futures)]
extern "C" {
    /// `ctx.storage`.
    #[wasm_bindgen(extends = Object)]
    pub type Storage;
    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    pub fn transaction_sync(this: &Storage, closure: &mut dyn FnMut() -> Js<()>) -> Js<()>;
    #[wasm_bindgen(method, getter)]
    pub fn sql(this: &Storage) -> Sql;
    #[wasm_bindgen(method, catch, js_name = deleteAll)]
    pub fn delete_all(this: &Storage) -> Js<Promise>;
    #[wasm_bindgen(method, catch, js_name = setAlarm)]
    pub fn set_alarm(this: &Storage, at_ms: f64) -> Js<Promise>;

    /// `ctx.storage.sql`.
    #[wasm_bindgen(extends = Object)]
    #[derive(Clone)]
    pub type Sql;
    #[wasm_bindgen(method, getter, js_name = databaseSize)]
    pub fn database_size(this: &Sql) -> f64;

    /// A Durable Object's `ctx`.
    #[wasm_bindgen(extends = Object)]
    #[derive(Clone)]
    pub type ObjectContext;
    #[wasm_bindgen(method, getter)]
    pub fn id(this: &ObjectContext) -> ObjectId;
    #[wasm_bindgen(method, getter)]
    pub fn storage(this: &ObjectContext) -> Storage;
    #[wasm_bindgen(method, getter)]
    pub fn container(this: &ObjectContext) -> Option<Container>;
    #[wasm_bindgen(method, getter)]
    pub fn exports(this: &ObjectContext) -> Exports;

    /// A Durable Object's id.
    pub type ObjectId;
    #[wasm_bindgen(method, getter)]
    pub fn name(this: &ObjectId) -> Option<String>;
    #[wasm_bindgen(method, js_name = toString)]
    pub fn hex(this: &ObjectId) -> String;

    /// An R2 bucket.
    pub type R2Bucket;
    #[wasm_bindgen(method, catch)]
    pub fn put(this: &R2Bucket, key: &str, body: &JsValue) -> Js<Promise>;
    #[wasm_bindgen(method, catch)]
    pub fn get(this: &R2Bucket, key: &str) -> Js<Promise>;
    #[wasm_bindgen(method, catch)]
    pub fn delete(this: &R2Bucket, keys: &Array) -> Js<Promise>;
    #[wasm_bindgen(method, catch)]
    pub fn list(this: &R2Bucket, options: &Object) -> Js<Promise>;

    /// An object of a bucket; one that was asked for has a body.
    pub type R2Object;
    #[wasm_bindgen(method, getter)]
    pub fn key(this: &R2Object) -> String;
    #[wasm_bindgen(method, getter)]
    pub fn size(this: &R2Object) -> f64;
    #[wasm_bindgen(method, getter)]
    pub fn uploaded(this: &R2Object) -> js_sys::Date;
    #[wasm_bindgen(method, getter)]
    pub fn body(this: &R2Object) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub fn etag(this: &R2Object) -> String;

    /// A page of a bucket's list.
    pub type R2Objects;
    #[wasm_bindgen(method, getter)]
    pub fn objects(this: &R2Objects) -> Array;

    /// `ctx.exports`.
    pub type Exports;
    #[wasm_bindgen(method, catch, js_name = Gateway)]
    pub fn gateway(this: &Exports, options: &Object) -> Result<JsValue, JsValue>;

    /// `ctx.container`.
    #[wasm_bindgen(extends = Object)]
    #[derive(Clone)]
    pub type Container;
    #[wasm_bindgen(method, getter)]
    pub fn running(this: &Container) -> bool;
    #[wasm_bindgen(method, getter)]
    pub fn images(this: &Container) -> Option<Images>;
    #[wasm_bindgen(method, catch)]
    pub fn start(this: &Container, options: &Object) -> Js<()>;
    #[wasm_bindgen(method, catch)]
    pub async fn destroy(this: &Container) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub fn signal(this: &Container, number: i32) -> Js<()>;
    #[wasm_bindgen(method, catch, js_name = setInactivityTimeout)]
    pub async fn set_inactivity_timeout(this: &Container, ms: f64) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = getTcpPort)]
    pub fn tcp_port(this: &Container, port: u16) -> Js<Port>;
    #[wasm_bindgen(method, catch, js_name = interceptOutboundHttp)]
    pub async fn intercept_outbound_http(this: &Container, host: &str, to: &JsValue) -> Result<JsValue, JsValue>;

    /// `ctx.container.images`, where the object says which image runs.
    pub type Images;
    #[wasm_bindgen(method, getter)]
    pub fn agent(this: &Images) -> JsValue;

    /// A port of a container.
    pub type Port;
    #[wasm_bindgen(method, catch)]
    pub async fn fetch(this: &Port, url: &str, init: &web_sys::RequestInit) -> Js<web_sys::Response>;

    /// A Worker's `env`.
    #[wasm_bindgen(extends = Object)]
    #[derive(Clone)]
    pub type Environment;
    #[wasm_bindgen(method, getter, js_name = ACCOUNTS)]
    pub fn accounts(this: &Environment) -> Namespace;
    #[wasm_bindgen(method, getter, js_name = DIRECTORY)]
    pub fn directory(this: &Environment) -> Namespace;

    /// A rate limit; none if there is no such binding.
    #[wasm_bindgen(method, getter, js_name = QUERY_RATE)]
    pub fn query_rate(this: &Environment) -> Option<RateLimit>;
    #[wasm_bindgen(method, getter, js_name = MODEL_RATE)]
    pub fn model_rate(this: &Environment) -> Option<RateLimit>;

    /// A dataset of Analytics Engine; none if there is no such binding.
    #[wasm_bindgen(method, getter, js_name = METRICS)]
    pub fn metrics(this: &Environment) -> Option<Dataset>;

    /// A dataset of Analytics Engine.
    pub type Dataset;
    #[wasm_bindgen(method, catch, js_name = writeDataPoint)]
    pub fn write_data_point(this: &Dataset, point: &Object) -> Result<JsValue, JsValue>;

    /// A rate limit.
    pub type RateLimit;
    #[wasm_bindgen(method, catch)]
    pub async fn limit(this: &RateLimit, of: &Object) -> Js<RateOutcome>;

    /// What a rate limit says.
    pub type RateOutcome;
    #[wasm_bindgen(method, getter)]
    pub fn success(this: &RateOutcome) -> bool;

    /// A namespace of Durable Objects.
    pub type Namespace;
    #[wasm_bindgen(method, catch, js_name = getByName)]
    pub fn get_by_name(this: &Namespace, name: &str) -> Js<Stub>;
    #[wasm_bindgen(method, catch)]
    pub fn jurisdiction(this: &Namespace, name: &str) -> Js<Namespace>;

    /// A Durable Object from outside.
    pub type Stub;
    #[wasm_bindgen(method, catch, js_name = fetch)]
    pub fn fetch_url(this: &Stub, url: &str) -> Js<Promise>;

    /// A Worker's `ctx`.
    #[wasm_bindgen(extends = Object)]
    #[derive(Clone)]
    pub type WorkerContext;
    #[wasm_bindgen(method, getter)]
    pub fn props(this: &WorkerContext) -> JsValue;
    #[wasm_bindgen(method, js_name = waitUntil)]
    pub fn wait_until(this: &WorkerContext, promise: &Promise);

    /// A promise whose rejection is answered by a function of JavaScript's own.
    #[wasm_bindgen(extends = Promise, js_name = Promise)]
    pub type Rejectable;
    #[wasm_bindgen(method, js_name = catch)]
    pub fn or_else_call(this: &Rejectable, answer: &Function) -> Promise;

    /// The runtime's `crypto.getRandomValues`.
    #[wasm_bindgen(catch, js_namespace = crypto, js_name = getRandomValues)]
    pub fn fill_with_random(bytes: &mut [u8]) -> Result<JsValue, JsValue>;

    /// `TransformStream` that passes bytes on as they are.
    pub type TransformStream;
    #[wasm_bindgen(method, getter)]
    pub fn readable(this: &TransformStream) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub fn writable(this: &TransformStream) -> Writable;

    /// The writing end.
    pub type Writable;
    #[wasm_bindgen(method, catch, js_name = getWriter)]
    pub fn get_writer(this: &Writable) -> Js<Writer>;

    /// Who writes.
    pub type Writer;
    #[wasm_bindgen(method, catch)]
    pub async fn write(this: &Writer, chunk: &Uint8Array) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub async fn close(this: &Writer) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub async fn abort(this: &Writer) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, js_name = abort)]
    pub fn abort_function(this: &Writer) -> Function;

    /// A body's reader.
    pub type Reader;
    #[wasm_bindgen(method, catch)]
    pub async fn read(this: &Reader) -> Js<Chunk>;
    #[wasm_bindgen(method, catch)]
    pub fn cancel(this: &Reader) -> Js<Promise>;

    /// What a reader gives.
    pub type Chunk;
    #[wasm_bindgen(method, getter)]
    pub fn done(this: &Chunk) -> bool;
    #[wasm_bindgen(method, getter)]
    pub fn value(this: &Chunk) -> Option<Uint8Array>;

    /// `ReadableStream`, as its reader's source.
    pub type Readable;
    #[wasm_bindgen(method, catch, js_name = getReader)]
    pub fn get_reader(this: &Readable) -> Js<Reader>;

    #[wasm_bindgen(js_namespace = console)]
    pub fn log(line: &str);
    #[wasm_bindgen(js_namespace = console)]
    pub fn warn(line: &str);
    #[wasm_bindgen(js_namespace = console)]
    pub fn error(line: &str);
}

// One call for what would take a call each: a request's head and the names of its headers, a response with its headers, a request that
// is sent on, a statement with its rows.
#[wasm_bindgen(inline_js = "
export const head = (request) => request.method + ' ' + request.url;
export const headerNames = (headers) => [...headers.keys()].join();
const picked = (headers, names) => new Headers(names.split(',').flatMap((name) => (name ? [[name, headers.get(name)]] : [])));
export const sendOn = (from, url, names, name, value, body, limitMs) => {
  const headers = picked(from, names);
  headers.set(name, value);
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(new Error('no headers within ' + limitMs + ' ms')), limitMs);
  return fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal: limit.signal }).finally(() => clearTimeout(timer));
};
export const passBack = (body, { status, headers }, names) => new Response(body, { status, headers: picked(headers, names) });
export const plainResponse = (body, status, id) => new Response(body, { status, headers: { 'content-type': 'application/json', 'request-id': id } });
export const transform = (length) => (length === undefined ? new IdentityTransformStream() : new FixedLengthStream(length));
export const relay = async (body, writer, see, alone) => {
  const reader = body.getReader();
  let written, limit;
  const left = () => (limit ??= setTimeout(() => reader.cancel().catch(() => {}), alone));
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      see(value);
      await written;
      if (limit === undefined) written = writer.write(value).catch(left);
    }
    await written;
    if (limit === undefined) await writer.close();
  } catch (error) {
    await Promise.allSettled([reader.cancel(error), writer.abort(error)]);
  }
  clearTimeout(limit);
};
export const ask = (objects, name, url, body, repeatable) => {
  const send = (headers) => objects.getByName(name).fetch(url, body === undefined ? undefined : { method: 'POST', body, headers });
  if (!repeatable) return send({});
  return send({}).catch((error) => {
    if (error.overloaded || !passes(error)) throw error;
    return send({ 'x-again': '1' });
  });
};
export const passes = (error) => Boolean(error?.retryable || error?.durableObjectReset || error?.overloaded);
export const orAnswer = (promise, answer, id) => promise.catch((error) => answer(error, id));
export const respond = (body, status, type, cache, id) =>
  new Response(body, { status, headers: { 'content-type': type, 'cache-control': cache, 'x-content-type-options': 'nosniff', 'x-request-id': id } });
export const dress = async (answer, hasBody, origin, exposed, trace) => {
  const from = await answer;
  if (!hasBody) from.body?.cancel().catch(() => {});
  const dressed = new Response(hasBody ? from.body : null, from);
  if (origin !== undefined) {
    dressed.headers.set('access-control-allow-origin', origin);
    dressed.headers.set('access-control-expose-headers', exposed);
    if (origin !== '*') dressed.headers.append('vary', 'origin');
  }
  if (trace !== undefined) dressed.headers.set('traceparent', trace);
  return dressed;
};
export const responder = (...answer) => () => respond(...answer);
export const query = (sql, statement, values) => {
  const cursor = sql.exec(statement, ...values);
  const rows = [...cursor.raw()];
  rows.push(cursor.rowsWritten);
  return rows;
};
")]
extern "C" {
    /// Method and URL of a request, with a space in between.
    pub fn head(request: &web_sys::Request) -> String;
    /// The names of headers, in lower case, with commas in between.
    #[wasm_bindgen(js_name = headerNames)]
    pub fn header_names(headers: &web_sys::Headers) -> String;
    /// Posts `body` to `url` with those of the headers `from` that `names` has (with commas in between), and the header `name`. Redirects are
    /// answers. It rejects if no answer begins within `limit_ms`.
    #[wasm_bindgen(catch, js_name = sendOn)]
    pub fn send_on(
        from: &web_sys::Headers,
        url: &str,
        names: &str,
        name: &str,
        value: &str,
        body: &JsValue,
        limit_ms: u32,
    ) -> Js<Promise>;
    /// A response with another's status, those of its headers that `names` has (with commas in between), and `body`.
    #[wasm_bindgen(catch, js_name = passBack)]
    pub fn pass_back(body: &JsValue, answer: &web_sys::Response, names: &str) -> Js<web_sys::Response>;
    /// A response of JSON in the manner of the model's API, which names its requests in `request-id`.
    #[wasm_bindgen(catch, js_name = plainResponse)]
    pub fn plain_response(body: &JsValue, status: u16, id: &str) -> Js<web_sys::Response>;
    /// A stream that passes bytes on as they are; the reader is told their number if it is known.
    #[wasm_bindgen(catch)]
    pub fn transform(length: Option<f64>) -> Js<TransformStream>;
    /// Writes a body as it comes, one piece ahead, and shows each piece to `see` before. When its reader has left it goes on reading for at most
    /// `alone_ms`, then cancels the body. It resolves when nothing more is read.
    #[wasm_bindgen(catch)]
    pub fn relay(body: &JsValue, writer: &Writer, see: &Closure<dyn FnMut(Uint8Array)>, alone_ms: u32) -> Js<Promise>;
    /// Asks the object of that name: by the URL alone, or with `body`. What is `repeatable` is asked once more, with the header `x-again`, if
    /// the platform says that asking again may help.
    #[wasm_bindgen(catch)]
    pub fn ask(objects: &Namespace, name: &str, url: &str, body: &JsValue, repeatable: bool) -> Js<Promise>;
    /// Whether the platform says that what went wrong with an object passes: it was reset, cannot be reached at the moment, or has too much to do.
    pub fn passes(error: &JsValue) -> bool;
    /// The promise, or if it is rejected what `answer` makes of the error and `id`.
    #[wasm_bindgen(js_name = orAnswer)]
    pub fn or_answer(promise: &Promise, answer: &Closure<dyn FnMut(JsValue, String) -> Js>, id: &str) -> Promise;
    /// A response with the headers that every answer has: `content-type`, `cache-control`, `x-content-type-options`, `x-request-id`.
    #[wasm_bindgen(catch)]
    pub fn respond(
        body: &JsValue,
        status: u16,
        content_type: &JsString,
        cache: &JsString,
        id: &str,
    ) -> Js<web_sys::Response>;
    /// An answer, or a promise of one, without its body if it must have none; a page of another site, whose `origin` is told if it
    /// may ask, may read it and its headers `exposed`. It tells the trace that its request belongs to.
    #[wasm_bindgen(catch)]
    pub fn dress(
        answer: &JsValue,
        has_body: bool,
        origin: Option<&str>,
        exposed: &str,
        trace: Option<&str>,
    ) -> Js<Promise>;
    /// A statement's rows, each an array of its columns, and after them how many rows it wrote.
    #[wasm_bindgen(catch)]
    pub fn query(sql: &Sql, statement: &JsString, values: &Array) -> Js<Array>;
    /// A function that makes such a response, and is nothing of Rust's.
    pub fn responder(body: &JsValue, status: u16, content_type: &JsString, cache: &JsString, id: &str) -> Function;
}

#[wasm_bindgen(module = "/src/platform/files.js", wasm_bindgen_futures = worker::wasm_bindgen_futures)]
extern "C" {
    /// The bytes of a stored file (as JSON) from the first number to before the second one, as a stream. It rejects if the bucket does not give
    /// the beginning.
    #[wasm_bindgen(catch, js_name = read)]
    pub async fn read_file(bucket: &R2Bucket, file: &str, start: f64, end: f64) -> Result<JsValue, JsValue>;
    /// The SHA-256 of a stored file (as JSON) of that size, in hexadecimal. It rejects as `read` does.
    #[wasm_bindgen(catch, js_name = sha256)]
    pub async fn hash_file(bucket: &R2Bucket, file: &str, size: f64) -> Result<JsValue, JsValue>;
    /// All files of a listing as a ZIP archive: a stream, and a promise that resolves when it has ended. Until then `next_page` is asked for the
    /// page behind a path.
    #[wasm_bindgen(catch, js_name = archive)]
    pub async fn write_archive(
        bucket: &R2Bucket,
        first_page: &str,
        next_page: &Closure<dyn FnMut(String) -> Js>,
    ) -> Result<JsValue, JsValue>;
    /// Whether bytes are not what the index says, and will not be at another try.
    #[wasm_bindgen(js_name = isDamaged)]
    pub fn is_damaged(error: &JsValue) -> bool;
}

/// A plain JavaScript object.
pub fn object(fields: &[(&str, &JsValue)]) -> Js<Object> {
    let object = Object::new();
    for (name, value) in fields {
        Reflect::set(&object, &JsValue::from_str(name), value)?;
    }
    Ok(object)
}

/// What was thrown, in a sentence for the log.
pub fn thrown(value: &JsValue) -> String {
    let text = value.dyn_ref::<js_sys::Error>().map_or_else(|| value.as_string(), |error| error.message().as_string());
    text.unwrap_or_else(|| "an error without a text".to_owned())
}
