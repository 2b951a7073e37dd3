/*
 * Holds what the service sends to public/openapi.json: the operation, the status, the media type, the document and each event of a stream
 * must be described there, with no field more. `Client` and `EventStream` check everything they receive.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { ValidateFunction } from "ajv/dist/2020.js";

/** Bytes have no schema. */
type Media = { schema?: object };
type Operation = { operationId: string; responses: Record<string, { content?: Record<string, Media>; headers?: object }> };
type Described = { paths: Record<string, Record<string, Operation>> };

const DOCUMENT = "openapi.json";
export const OPENAPI = JSON.parse(readFileSync(new URL(`../../public/${DOCUMENT}`, import.meta.url), "utf8")) as Described;
/** What every response has, whether or not the document names it for an operation. */
const UNNAMED_HEADERS = new Set(["allow", "cache-control", "connection", "content-encoding", "content-length", "content-type", "date", "keep-alive", "transfer-encoding", "vary", "x-content-type-options"]);

const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema(OPENAPI, DOCUMENT);

/** A file's path may have any number of segments; any other parameter is one. */
const pattern = (path: string): RegExp => new RegExp(`^${path.replace("{path}", ".*").replace(/\{\w+\}/g, "[^/]+")}$`);
const PATHS = Object.keys(OPENAPI.paths).map((path) => ({ path, pattern: pattern(path) }));
const validators = new Map<string, ValidateFunction>();

function validator(...pointer: string[]): ValidateFunction {
  const reference = `${DOCUMENT}#/${pointer.map((part) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"))).join("/")}`;
  const known = validators.get(reference) ?? ajv.compile({ $ref: reference });
  validators.set(reference, known);
  return known;
}

function assertValid(validate: ValidateFunction, value: unknown, what: string): void {
  if (!validate(value)) assert.fail(`${what} is not what ${DOCUMENT} says: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value).slice(0, 1_000)}`);
}

/** Where the document describes a request; undefined for a path or a method that no operation has. */
function described(method: string, url: string): { path: string; verb: string; operation: Operation } | undefined {
  const { pathname } = new URL(url);
  const path = PATHS.find(({ pattern }) => pattern.test(pathname))?.path;
  const verb = method === "HEAD" ? "get" : method.toLowerCase();
  const operation = path === undefined ? undefined : OPENAPI.paths[path]?.[verb];
  return path === undefined || operation === undefined ? undefined : { path, verb, operation };
}

/** Fails unless the response is one that the document describes for the request. Leaves its body to be read. */
export async function assertDescribed(method: string, response: Response): Promise<void> {
  const found = described(method, response.url);
  if (found === undefined) return;
  const { path, verb, operation } = found;
  const what = `${response.status} of ${method} ${path}`;
  const answer = operation.responses[response.status];
  assert.ok(answer, `${what} is not in ${DOCUMENT}`);
  const named = new Set(Object.keys(answer.headers ?? {}).map((name) => name.toLowerCase()));
  for (const name of response.headers.keys()) {
    assert.ok(named.has(name) || UNNAMED_HEADERS.has(name) || name.startsWith("access-control-"), `${what} has the header ${name}, which ${DOCUMENT} does not name`);
  }
  const type = response.headers.get("content-type")?.split(";")[0];
  if (type === undefined || method === "HEAD") return;
  const media = answer.content?.[type] ?? answer.content?.["*/*"];
  assert.ok(media, `${what} is ${type}, which is not in ${DOCUMENT}`);
  if (type === "text/event-stream" || media.schema === undefined) return;
  const text = await response.clone().text();
  assertValid(validator("paths", path, verb, "responses", String(response.status), "content", type, "schema"), JSON.parse(text), what);
}

type EventSchema = { oneOf: { properties: { event: { const: string }; data: { contentSchema: { $ref: string } } } }[] };

/** The path of the operation that streams a turn's events. */
export const TURN_EVENTS = "/conversations/{session_id}/events";

/** Where the schema of a path's events is, and by name that of their data. */
function eventsOf(path: string): { event: string[]; data: Map<string, string[]> } {
  const schema = OPENAPI.paths[path]?.["get"]?.responses["200"]?.content?.["text/event-stream"]?.schema as EventSchema;
  const data = schema.oneOf.map(({ properties }) => [properties.event.const, properties.data.contentSchema.$ref.slice("#/".length).split("/")] as const);
  return { event: ["paths", path, "get", "responses", "200", "content", "text/event-stream", "schema"], data: new Map(data) };
}

const STREAMS = new Map([TURN_EVENTS, "/events"].map((path) => [path, eventsOf(path)]));

/** Fails unless the event of a stream, and the JSON in its data, are described. */
export function assertDescribedEvent(event: { id?: string; event: string; data: string }, path: string): void {
  const stream = STREAMS.get(path);
  assert.ok(stream, `${path} streams no events`);
  assertValid(validator(...stream.event), event, `an event ${event.event}`);
  assertValid(validator(...(stream.data.get(event.event) ?? [])), JSON.parse(event.data), `the data of an event ${event.event}`);
}
