/* What counts as a break of the API's clients, and what does not, on changes of the real document. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { breaks } from "../openapi-compatibility.ts";
import type { Document, Schema } from "../openapi-compatibility.ts";

const TEXT = readFileSync(new URL("../../public/openapi.json", import.meta.url), "utf8");
const document = (): Document => JSON.parse(TEXT) as Document;

/** What is found if the document is changed like this, as `is gone` and the like. */
function after(change: (document: Document) => void): string[] {
  const changed = document();
  change(changed);
  return breaks(document(), changed);
}

const schema = (name: string) => (changed: Document): Schema => {
  const found = changed.components.schemas[name];
  assert.ok(found !== undefined, name);
  return found;
};
const field = (of: string, name: string) => (changed: Document): Schema => {
  const found = schema(of)(changed).properties?.[name];
  assert.ok(found !== undefined, `${of}.${name}`);
  return found;
};

test("the same document breaks nobody", () => assert.deepEqual(after(() => undefined), []));

const BREAKS: [what: string, change: (changed: Document) => void, found: RegExp][] = [
  ["a path that is gone", (changed) => void delete changed.paths["/health"], /^GET \/health: is gone$/],
  ["an operation that is gone", (changed) => void delete changed.paths["/conversations/{session_id}"]?.["patch"], /^PATCH .*: is gone$/],
  ["an operation's name", (changed) => void (changed.paths["/health"]!["get"]!.operationId = "status"), /is called status/],
  ["a parameter that is gone", (changed) => void changed.paths["/conversations"]!["get"]!.parameters!.splice(1, 1), /query parameter limit is gone/],
  ["a new parameter that is required", (changed) => void changed.paths["/conversations"]!["get"]!.parameters!.push({ name: "x", in: "query", required: true }), /x is new and required/],
  ["a parameter that becomes required", (changed) => void (changed.paths["/conversations"]!["get"]!.parameters![1]!.required = true), /limit is required now/],
  ["a response that is gone", (changed) => void delete changed.paths["/query"]!["post"]!.responses["202"], /does not respond with 202/],
  ["a type of response that is gone", (changed) => void delete changed.paths["/query"]!["post"]!.responses["200"]!.content!["text/event-stream"], /text\/event-stream is gone/],
  ["a field of a response that is gone", (changed) => void delete schema("TurnResult")(changed).properties!["response"], /field response is gone/],
  ["a field of an event that is gone", (changed) => void delete schema("DeltaEvent")(changed).properties!["text"], /field text is gone/],
  ["a field of a response that may be absent", (changed) => void (schema("TurnResult")(changed).required = ["success"]), /field response may be absent now/],
  ["a field of a response that may be null", (changed) => void (field("TurnResult", "response")(changed).type = ["string", "null"]), /type null is new/],
  ["a new value in a response", (changed) => void schema("TurnStatus")(changed).oneOf!.push({ const: "paused" }), /value "paused" is new/],
  ["a field of a request that is gone", (changed) => void delete schema("QueryRequest")(changed).properties!["model"], /field model is gone/],
  ["a field of a request that becomes required", (changed) => void (schema("QueryRequest")(changed).required = ["model"]), /field model is required now/],
  ["a value that is not taken any more", (changed) => void schema("Effort")(changed).oneOf!.pop(), /value "max" is not taken any more/],
  ["a bound that is narrower", (changed) => void (field("QueryRequest", "max_turns")(changed)["maximum"] = 10), /maximum is 10 and was 1000/],
  ["a bound that is new", (changed) => void (field("QueryRequest", "system_prompt")(changed)["maxLength"] = 10), /maxLength is 10 and was not set/],
];

for (const [what, change, found] of BREAKS) {
  test(`is found: ${what}`, () => {
    const sentences = after(change);
    assert.ok(sentences.some((sentence) => found.test(sentence)), sentences.join("\n") || "nothing was found");
  });
}

const FREE: [what: string, change: (changed: Document) => void][] = [
  ["a new path", (changed) => void (changed.paths["/new"] = changed.paths["/health"]!)],
  ["a new parameter", (changed) => void changed.paths["/conversations"]!["get"]!.parameters!.push({ name: "x", in: "query" })],
  ["a new field of a response", (changed) => void (schema("TurnResult")(changed).properties!["more"] = { type: "string" })],
  ["a new event", (changed) => void changed.paths["/query"]!["post"]!.responses["200"]!.content!["text/event-stream"]!.schema!.oneOf!.push({ properties: { event: { const: "new" } }, required: ["event"] })],
  ["a new name of an event", (changed) => void changed.paths["/query"]!["post"]!.responses["200"]!.content!["text/event-stream"]!.schema!.properties!["event"]!.enum!.push("new")],
  ["a new field of a request", (changed) => void (schema("QueryRequest")(changed).properties!["more"] = { type: "string" })],
  ["a new value in a request", (changed) => void schema("Effort")(changed).oneOf!.push({ const: "more" })],
  ["a wider bound", (changed) => void (field("QueryRequest", "max_turns")(changed)["maximum"] = 2000)],
  ["a field of a response that is always there now", (changed) => void schema("Turn")(changed).required!.push("usage")],
  ["a refusal that is gone", (changed) => void delete changed.paths["/query"]!["post"]!.responses["422"]],
  ["other prose", (changed) => void (schema("Turn")(changed)["description"] = "Another text.")],
];

for (const [what, change] of FREE) test(`breaks nobody: ${what}`, () => assert.deepEqual(after(change), []));
