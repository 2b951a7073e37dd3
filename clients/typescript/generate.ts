/**
 * Writes src/api.ts, the types of the API, from public/openapi.json; with `--check`, compares it with what it would write.
 * It runs on this package's own TypeScript 5, which openapi-typescript needs.
 */
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

type Schema = { $ref?: string; const?: string; enum?: string[]; properties?: Record<string, Schema>; allOf?: Schema[]; oneOf?: Schema[]; contentSchema?: Schema };
type Response = { content?: Record<string, { schema?: Schema }> };
type Operation = { operationId: string; responses: Record<string, Response> };
type Document = { paths: Record<string, Record<string, Operation>> };

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

/** What each event of any stream carries, by its name. */
function eventData(operations: Operation[]): string {
  const events = new Map<string, string>();
  for (const { responses } of operations) {
    for (const { content } of Object.values(responses)) {
      for (const { properties } of content?.[EVENTS]?.schema?.oneOf ?? []) {
        const name = properties?.["event"]?.const;
        const reference = properties?.["data"]?.contentSchema?.$ref;
        if (name === undefined || reference === undefined) throw new Error(`an event of ${EVENTS} has no name or no schema`);
        events.set(name, reference.slice(reference.lastIndexOf("/") + 1));
      }
    }
  }
  const lines = [...events].map(([name, schema]) => `    ${JSON.stringify(name)}: components["schemas"][${JSON.stringify(schema)}];`);
  return `/** What each event carries, by the event's name. */\nexport interface EventData {\n${lines.join("\n")}\n}\n`;
}
