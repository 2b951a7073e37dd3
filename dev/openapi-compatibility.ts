/**
 * Whether a client of the released API can talk to the API of this checkout: compares public/openapi.json with dev/openapi-released.json, the
 * document of the last release without its prose. `--release` writes that file; a commit that changes it says that clients may break.
 *
 * A request may become freer and a response stricter, not the other way round. Event streams and fields that are new in a response are free:
 * clients ignore what they do not know.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "./tools.mjs";

export type Schema = {
  $ref?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
  contentSchema?: Schema;
  pattern?: string;
} & Record<string, unknown>;
type Content = Record<string, { schema?: Schema }>;
type Parameter = { name: string; in: string; required?: boolean; schema?: Schema };
type Operation = { operationId: string; parameters?: Parameter[]; requestBody?: { required?: boolean; content: Content }; responses: Record<string, { content?: Content; headers?: object }> };
export type Document = { paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, Schema> } };
/** A request is read by the service, a response by its clients. */
type Direction = "request" | "response";

const CURRENT = join(ROOT, "public/openapi.json");
const RELEASED = join(ROOT, "dev/openapi-released.json");
/** A stream may tell of more kinds of events than a client knows. */
const EVENTS = "text/event-stream";
const PROSE = new Set(["description", "summary", "example", "examples", "title"]);
/** Bounds that a request loses nothing by widening, and whether more is wider. */
const BOUNDS: readonly [name: string, wider: "up" | "down"][] = [
  ["maximum", "up"], ["maxLength", "up"], ["maxItems", "up"], ["maxProperties", "up"],
  ["minimum", "down"], ["minLength", "down"], ["minItems", "down"], ["minProperties", "down"],
];

/** What a client of `released` can trip over in `current`, a sentence each. */
export function breaks(released: Document, current: Document): string[] {
  return new Comparison(released, current).run();
}

class Comparison {
  readonly #released: Document;
  readonly #current: Document;
  readonly #found: string[] = [];
  /** Pairs of schemas that are compared already: schemas may hold themselves. */
  readonly #compared = new Set<string>();

  constructor(released: Document, current: Document) {
    this.#released = released;
    this.#current = current;
  }

  run(): string[] {
    for (const [path, methods] of Object.entries(this.#released.paths)) {
      for (const [method, before] of Object.entries(methods)) {
        const at = `${method.toUpperCase()} ${path}`;
        const after = this.#current.paths[path]?.[method];
        if (after === undefined) this.#report(at, "is gone");
        else this.#operation(at, before, after);
      }
    }
    return this.#found;
  }

  #report(at: string, what: string): void {
    this.#found.push(`${at}: ${what}`);
  }

  #operation(at: string, before: Operation, after: Operation): void {
    if (before.operationId !== after.operationId) this.#report(at, `is called ${after.operationId} and was ${before.operationId}`);
    const key = ({ in: place, name }: Parameter): string => `${place} parameter ${name}`;
    const parameters = new Map((after.parameters ?? []).map((parameter) => [key(parameter), parameter]));
    for (const parameter of before.parameters ?? []) {
      const now = parameters.get(key(parameter));
      if (now === undefined) this.#report(at, `${key(parameter)} is gone`);
      else this.#schema(`${at}, ${key(parameter)}`, parameter.schema, now.schema, "request");
      if (now?.required === true && parameter.required !== true) this.#report(at, `${key(parameter)} is required now`);
      parameters.delete(key(parameter));
    }
    for (const [name, { required }] of parameters) if (required === true) this.#report(at, `${name} is new and required`);
    if (after.requestBody?.required === true && before.requestBody?.required !== true) this.#report(at, "a body is required now");
    this.#content(`${at}, body`, before.requestBody?.content, after.requestBody?.content, "request");
    for (const [status, response] of Object.entries(before.responses)) {
      const now = after.responses[status];
      // A refusal that does not occur any more breaks nobody.
      if (now === undefined && Number(status) < 400) this.#report(at, `does not respond with ${status} any more`);
      if (now === undefined || Number(status) >= 400) continue;
      this.#content(`${at}, ${status}`, response.content, now.content, "response");
      for (const header of Object.keys(response.headers ?? {})) if (!(header in (now.headers ?? {}))) this.#report(at, `header ${header} of ${status} is gone`);
    }
  }

  #content(at: string, before: Content = {}, after: Content = {}, direction: Direction): void {
    for (const [type, { schema }] of Object.entries(before)) {
      const now = after[type];
      if (now === undefined) this.#report(at, `${type} is gone`);
      else if (type === EVENTS) this.#alternatives(`${at} ${type}`, schema?.oneOf, now.schema?.oneOf, "response");
      else this.#schema(`${at} ${type}`, schema, now.schema, direction);
    }
  }

  #schema(at: string, before: Schema | undefined, after: Schema | undefined, direction: Direction): void {
    if (before === undefined || after === undefined) {
      // No schema takes everything: fine in a request, nothing to rely on in a response.
      if (before !== after && (direction === "request") === (before === undefined)) this.#report(at, after === undefined ? "may be anything now" : "was anything");
      return;
    }
    const pair = `${direction} ${before.$ref ?? at} ${after.$ref ?? at}`;
    if (this.#compared.has(pair)) return;
    this.#compared.add(pair);
    this.#resolved(at, resolve(this.#released, before), resolve(this.#current, after), direction);
  }

  #resolved(at: string, before: Schema, after: Schema, direction: Direction): void {
    this.#choices(at, "type", types(before), types(after), direction);
    this.#choices(at, "value", values(this.#released, before), values(this.#current, after), direction);
    if (direction === "request") this.#bounds(at, before, after);
    const [required, nowRequired] = [new Set(before.required), new Set(after.required)];
    for (const [name, property] of Object.entries(before.properties ?? {})) {
      const now = after.properties?.[name];
      if (now === undefined) this.#report(at, `field ${name} is gone`);
      else this.#schema(`${at}.${name}`, property, now, direction);
      if (direction === "response" && required.has(name) && !nowRequired.has(name)) this.#report(at, `field ${name} may be absent now`);
    }
    if (direction === "request") for (const name of nowRequired) if (!required.has(name)) this.#report(at, `field ${name} is required now`);
    if (before.items !== undefined || after.items !== undefined) this.#schema(`${at}[]`, before.items, after.items, direction);
    if (before.contentSchema !== undefined) this.#schema(`${at} as JSON`, before.contentSchema, after.contentSchema, direction);
    for (const word of ["oneOf", "anyOf"] as const) this.#alternatives(at, before[word], after[word], direction);
  }

  /** Each alternative is compared with the one that has its reference, or the same values in its fields. */
  #alternatives(at: string, before: Schema[] = [], after: Schema[] = [], direction: Direction): void {
    for (const alternative of before) {
      const name = nameOf(alternative);
      const now = after.find((other) => nameOf(other) === name);
      if (now !== undefined) this.#schema(`${at} ${name}`, alternative, now, direction);
      else if (direction === "request" && name !== "" && after.length > 0) this.#report(at, `${name} is not taken any more`);
    }
  }

  #choices(at: string, what: string, before: string[] | undefined, after: string[] | undefined, direction: Direction): void {
    const [kept, given] = direction === "request" ? [after, before] : [before, after];
    if (kept === undefined) return;
    const unknown = (given ?? ["anything"]).filter((choice) => !kept.includes(choice));
    if (unknown.length > 0) this.#report(at, `${what} ${unknown.join(", ")} is ${direction === "request" ? "not taken any more" : "new: old clients do not know it"}`);
  }

  #bounds(at: string, before: Schema, after: Schema): void {
    for (const [name, wider] of BOUNDS) {
      const [was, is] = [before[name], after[name]];
      if (typeof is !== "number") continue;
      if (typeof was !== "number" || (wider === "up" ? is < was : is > was)) this.#report(at, `${name} is ${is} and was ${typeof was === "number" ? was : "not set"}`);
    }
    if (after.pattern !== undefined && after.pattern !== before.pattern) this.#report(at, `pattern is ${after.pattern} and was ${before.pattern ?? "not set"}`);
  }
}

function resolve(document: Document, schema: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  const found = document.components.schemas[schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1)];
  if (found === undefined) throw new Error(`${schema.$ref} leads nowhere`);
  return found;
}

function types({ type }: Schema): string[] | undefined {
  return type === undefined ? undefined : [type].flat();
}

/** The values that it allows, where it lists them; a list of constants counts. */
function values(document: Document, schema: Schema): string[] | undefined {
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value));
  const all = schema.oneOf?.map((each) => resolve(document, each).const);
  return all !== undefined && all.every((value) => value !== undefined) ? all.map((value) => JSON.stringify(value)) : undefined;
}

function nameOf(schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref;
  const constants = Object.entries(schema.properties ?? {}).filter(([, { const: value }]) => value !== undefined);
  if (constants.length > 0) return constants.map(([name, { const: value }]) => `${name}=${JSON.stringify(value)}`).join(" ");
  return schema.required?.join(" ") ?? types(schema)?.join(" ") ?? "";
}

/** The document without what only people read. */
function bare(value: unknown, isMapOfNames = false): unknown {
  if (Array.isArray(value)) return value.map((inner) => bare(inner));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => isMapOfNames || !PROSE.has(key));
  return Object.fromEntries(entries.map(([key, inner]) => [key, bare(inner, key === "properties" || key === "schemas" || key === "paths")]));
}

async function read(file: string): Promise<Document> {
  return JSON.parse(await readFile(file, "utf8")) as Document;
}

if (import.meta.filename === process.argv[1]) {
  const current = await read(CURRENT);
  if (process.argv.includes("--release")) {
    const { paths, components } = bare(current) as Document;
    for (const { responses } of Object.values(paths).flatMap((path) => Object.values(path))) {
      for (const status of Object.keys(responses)) if (Number(status) >= 400) delete responses[status];
    }
    await writeFile(RELEASED, `${JSON.stringify({ paths, components: { schemas: components.schemas } })}\n`);
  }
  const found = breaks(await read(RELEASED), current);
  for (const sentence of found) console.log(sentence);
  if (found.length > 0) console.log("These break clients of the last release. If they must: `node dev/openapi-compatibility.ts --release`, and say so in the release's notes.");
  process.exitCode = found.length === 0 ? 0 : 1;
}
