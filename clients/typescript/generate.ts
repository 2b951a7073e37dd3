/**
 * Writes src/api.ts, the types of the API, from public/openapi.json; with `--check`, compares it with what it would write.
 * It runs on this package's own TypeScript 5, which openapi-typescript needs.
 */
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

type Schema = { $ref?: string; const?: string; enum?: string[]; properties?: Record<string, Schema>; allOf?: Schema[]; oneOf?: Schema[]; anyOf?: Schema[]; contentSchema?: Schema };
type Response = { content?: Record<string, { schema?: Schema }> };
type Operation = { operationId: string; responses: Record<string, Response> };
type Document = { paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, Schema> } };

const DOCUMENT = new URL("../../public/openapi.json", import.meta.url);
const TYPES = new URL("src/api.ts", import.meta.url);
const PROBLEM = "application/problem+json";
const EVENTS = "text/event-stream";
const HEADER = `/**
 * The types of the API, made from public/openapi.json by \`npm run client:types\`: edit that document's sources, not this file.
 * Responses that refuse are left out: they are problem documents, whose codes are \`ErrorCode\`.
 */
`;

const document = JSON.parse(await readFile(DOCUMENT, "utf8")) as Document;
const made = await types(document);
if (!process.argv.includes("--check")) {
  await writeFile(TYPES, made);
} else if ((await readFile(TYPES, "utf8").catch(() => "")) !== made) {
  console.error("clients/typescript/src/api.ts is not what public/openapi.json makes it: run `npm run client:types`");
  process.exitCode = 1;
}

async function types(document: Document): Promise<string> {
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
  const extras = `${errorCodes(operations)}\n${eventData(operations)}`;
  for (const { responses } of operations) {
    for (const status of Object.keys(responses)) if (Number(status) >= 400) delete responses[status];
  }
  dropAlternatives(document);
  const ast = await openapiTS(JSON.stringify(document), { silent: true, defaultNonNullable: false, emptyObjectsUnknown: true });
  // Its own header says nothing of how this file is made.
  return `${HEADER}\n${astToString(ast).replace(/^\/\*\*[^]*?\*\/\n+/, "")}\n${extras}`;
}

/** The codes that any operation can refuse with. */
function errorCodes(operations: Operation[]): string {
  const codes = new Set<string>();
  for (const { responses } of operations) {
    for (const { content } of Object.values(responses)) {
      for (const part of content?.[PROBLEM]?.schema?.allOf ?? []) for (const code of part.properties?.["code"]?.enum ?? []) codes.add(code);
    }
  }
  const lines = [...codes].sort().map((code) => `    | ${JSON.stringify(code)}`);
  return `/** Why a request was refused or a turn failed: the \`code\` of a problem document. */\nexport type ErrorCode =\n${lines.join("\n")};\n`;
}

/** What each event carries, by its name: those of a turn, and those of the account's feed. */
function eventData(operations: Operation[]): string {
  const streams = new Map(operations.flatMap((operation) => streamOf(operation)));
  const [turn, feed] = [streams.get("query"), streams.get("followAccount")];
  for (const [name, events] of streams) {
    if (events !== turn && events !== feed) throw new Error(`the stream of ${name} is neither that of a turn nor the account's feed: give it a type of its own`);
  }
  return `/** What each event of a turn carries, by the event's name. */\nexport interface EventData {\n${turn}\n}\n\n/** What each event of the account's feed carries, by the event's name. */\nexport interface FeedData {\n${feed}\n}\n`;
}

/** The operation's name with the members of its stream's type; nothing if it has no stream. */
function streamOf({ operationId, responses }: Operation): [name: string, members: string][] {
  const events = Object.values(responses).flatMap(({ content }) => content?.[EVENTS]?.schema?.oneOf ?? []);
  const members = events.map(({ properties }) => {
    const name = properties?.["event"]?.const;
    const reference = properties?.["data"]?.contentSchema?.$ref;
    if (name === undefined || reference === undefined) throw new Error(`an event of ${operationId} has no name or no schema`);
    return `    ${JSON.stringify(name)}: components["schemas"][${JSON.stringify(reference.slice(reference.lastIndexOf("/") + 1))}];`;
  });
  return members.length === 0 ? [] : [[operationId, members.join("\n")]];
}

/** "One of these fields is needed" would become a union in which no field is known. */
function dropAlternatives(document: Document): void {
  for (const schema of Object.values(document.components.schemas)) {
    if (schema.properties === undefined) continue;
    delete schema.anyOf;
    delete schema.oneOf;
  }
}
