/* public/openapi.json by itself: its schemas compile, and each of its examples is what its schema says. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";

type Media = { schema?: unknown; examples?: Record<string, { value: unknown }> };
type Operation = { requestBody?: { content: Record<string, Media> }; responses: Record<string, { content?: Record<string, Media> }> };

const document = JSON.parse(readFileSync(new URL("../../public/openapi.json", import.meta.url), "utf8")) as { paths: Record<string, Record<string, Operation>> };
const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema(document, "openapi.json");

/** Checks the examples of what stands at a JSON pointer, and says how many there are. */
function check(pointer: readonly string[], content: Record<string, Media> = {}): number {
  let examples = 0;
  for (const [type, { schema, examples: all = {} }] of Object.entries(content)) {
    if (schema === undefined) continue;
    const path = [...pointer, "content", type, "schema"].map((part) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1")));
    const validate = ajv.compile({ $ref: `openapi.json#/${path.join("/")}` });
    for (const { value } of Object.values(all)) {
      assert.ok(validate(value), `${pointer.join(" ")}: ${ajv.errorsText(validate.errors)}`);
      examples += 1;
    }
  }
  return examples;
}

test("every schema compiles and every example is valid", () => {
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, { requestBody, responses }] of Object.entries(operations)) {
      const at = ["paths", path, method];
      const answers = Object.entries(responses).map(([status, { content }]) => check([...at, "responses", status], content));
      const isJson = (content?: Record<string, Media>): boolean => content?.["application/json"] !== undefined;
      const sendsJson = Object.values(responses).some(({ content }) => isJson(content));
      assert.equal(answers.some((examples) => examples > 0), sendsJson, `${method} ${path} has an example where it sends JSON`);
      if (isJson(requestBody?.content)) assert.equal(check([...at, "requestBody"], requestBody?.content), 1, `${method} ${path}`);
    }
  }
});
