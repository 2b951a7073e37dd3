/*
 * Bad input: each gets its problem document, and nothing is stored.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { json, problem } from "../client.ts";
import type { Client } from "../client.ts";
import type { Service } from "../support.ts";

const MEBIBYTE = 1024 * 1024;

export function input(service: Service): void {
  let client: Client;
  before(() => {
    client = service.newClient();
  });

  const send = (body: string, headers: Record<string, string> = { "content-type": "application/json" }): Promise<Response> =>
    fetch(`${service.url}/query`, { method: "POST", headers, body });
  const sendFields = (fields: object): Promise<Response> => send(JSON.stringify({ accountId: client.accountId, ...fields }));

  const BAD_BODIES: [what: string, body: string][] = [
    ["that is not JSON", "{"],
    ["that is empty", ""],
    ["that is a list", "[]"],
    ["that is a string", '"hello"'],
    ["with bytes that are not UTF-8 text of JSON", "\u0000"],
  ];
  for (const [what, body] of BAD_BODIES) {
    test(`a body ${what} is invalid_json`, async () => {
      await problem(send(body), 400, "invalid_json");
    });
  }

  test("a body with a known field twice is refused, and one with an unknown field twice is not", async () => {
    for (const twice of ['"accountId":"a","accountId":"b"', '"query":"a","query":"b"', '"query":"a","\\u0071uery":"b"', '"session_id":"a","session_id":"a"']) {
      const { detail } = await problem(send(`{${twice}}`), 400, "invalid_json");
      assert.match(detail, /the field `(accountId|query|session_id)` twice/);
    }
    await problem(send('{"x":1,"x":2,"query":" "}'), 400, "no_prompt");
  });

  test("a body that is nested too deep is refused, wherever it is", async () => {
    for (const field of ["query", "unknown"]) await problem(send(`{"${field}":${"[".repeat(100_000)}${"]".repeat(100_000)}}`), 400, "invalid_json");
  });

  test("a body that says it is something else than JSON is refused", async () => {
    await problem(send('{"query":"What is 2+2?"}', { "content-type": "text/csv" }), 415, "unsupported_media_type");
  });

  test("a body under a coding is refused", async () => {
    for (const coding of ["gzip", "br"]) {
      const { detail } = await problem(send("{}", { "content-type": "application/json", "content-encoding": coding }), 415, "unsupported_media_type");
      assert.match(detail, /Content-Encoding/);
    }
  });

  for (const fields of [{}, { query: "" }, { query: " \n\t" }, { prompt: "" }, { query: null }]) {
    test(`${JSON.stringify(fields)} holds no prompt`, async () => {
      const { error } = await problem(sendFields(fields), 400, "no_prompt");
      assert.match(error, /No prompt provided/);
    });
  }

  test("a prompt over one mebibyte is too large", async () => {
    await problem(sendFields({ query: "x".repeat(MEBIBYTE + 1) }), 413, "prompt_too_large");
  });

  test("a prompt's size is counted in bytes", async () => {
    await problem(sendFields({ query: "é".repeat(MEBIBYTE / 2 + 1) }), 413, "prompt_too_large");
  });

  for (const session_id of ["", "-starts-wrong", "has space", "slash/ed", "ünïcode", "x".repeat(129), 7, {}]) {
    test(`${JSON.stringify(session_id).slice(0, 20)} is no session id`, async () => {
      await problem(sendFields({ query: "hello", session_id }), 400, "invalid_session_id");
    });
  }

  for (const accountId of ["", "a\u0000b", "line\nbreak", "x".repeat(129), 7, []]) {
    test(`${JSON.stringify(accountId).slice(0, 20)} is no account`, async () => {
      await problem(sendFields({ query: "hello", accountId }), 400, "invalid_account");
    });
  }

  test("an account in the query string is checked alike", async () => {
    await problem(fetch(`${service.url}/conversations?accountId=${"x".repeat(129)}`), 400, "invalid_account");
    await problem(fetch(`${service.url}/conversations?accountId=a%00b`), 400, "invalid_account");
  });

  test("an account in the query string is UTF-8: two names of bytes that are not never meet", async () => {
    for (const id of ["M%FCller", "M%F6ller", "%c3"]) await problem(fetch(`${service.url}/conversations?accountId=${id}`), 400, "invalid_account");
    for (const parameter of ["q=%ff", "limit=%ff", "cursor=%ff"]) await problem(fetch(`${service.url}/conversations?${parameter}`), 400, "invalid_parameter");
  });

  test("an account in the query string is named once, however it is spelt", async () => {
    for (const twice of ["accountId=a&accountId=a", "accountId=a&limit=1&%61ccountId=b"]) {
      const { detail } = await problem(fetch(`${service.url}/conversations?${twice}`), 400, "invalid_account");
      assert.match(detail, /once/);
    }
  });

  test("a parameter of a list is given once", async () => {
    for (const twice of ["limit=1&limit=999", "q=a&q=b"]) await problem(client.request("GET", `/conversations?${twice}`), 400, "invalid_parameter");
  });

  for (const [fields, name] of [
    [{ stream: "yes" }, "stream"],
    [{ max_turns: 0 }, "max_turns"],
    [{ max_turns: 1.5 }, "max_turns"],
    [{ model: 5 }, "model"],
    [{ system_prompt: {} }, "system_prompt"],
  ] as const) {
    test(`${JSON.stringify(fields)} is a bad parameter, which is named`, async () => {
      const { detail } = await problem(sendFields({ query: "hello", ...fields }), 400, "invalid_parameter");
      assert.match(detail, new RegExp(name));
    });
  }

  for (const parameter of ["limit=0", "limit=201", "limit=x", "limit=1.5", "limit=", "offset=-1", "offset=x"]) {
    test(`a list with ${parameter} is refused, not guessed`, async () => {
      const { detail } = await problem(client.request("GET", `/conversations?${parameter}`), 400, "invalid_parameter");
      assert.match(detail, new RegExp(parameter.split("=")[0] ?? ""));
    });
  }

  for (const path of ["/", "/nowhere", "/conversations/a/b", "/query/", "/v1/messages", "/turns"]) {
    test(`${path} is not found`, async () => {
      await problem(fetch(service.url + path), 404, "not_found");
    });
  }

  const WRONG_METHODS: [method: string, path: string, allow: string[]][] = [
    ["GET", "/query", ["POST"]],
    ["DELETE", "/query", ["POST"]],
    ["POST", "/health", ["GET"]],
    ["PUT", "/conversations", ["GET"]],
    ["GET", "/conversations/some/cancel", ["POST"]],
    ["POST", "/turns/some", ["GET"]],
  ];
  for (const [method, path, allow] of WRONG_METHODS) {
    test(`${method} ${path} is not allowed, and what is is said`, async () => {
      const response = await fetch(service.url + path, { method });
      const allowed = (response.headers.get("allow") ?? "").split(/,\s*/);
      await problem(response, 405, "method_not_allowed");
      for (const good of allow) assert.ok(allowed.includes(good), `Allow: ${allowed.join(", ")}`);
    });
  }

  test("no answer's type is to be guessed: neither that of a document, nor a refusal's, nor a stream's", async () => {
    const stored = service.newClient();
    const events = await stored.post("What is 2+2?", { stream: true });
    await events.text();
    for (const response of [events, await stored.request("GET", "/conversations"), await fetch(`${service.url}/health`), await fetch(`${service.url}/nowhere`)]) {
      assert.equal(response.headers.get("x-content-type-options"), "nosniff", response.url);
    }
  });

  test("an unknown turn is not found", async () => {
    await problem(client.request("GET", "/turns/turn_unknown"), 404, "not_found");
  });

  test("nothing of all this was stored, and no container was started for it", async () => {
    assert.deepEqual(await json(await client.request("GET", "/conversations"), 200), []);
    assert.equal(service.model.control.requests().some((request) => request.user_texts.includes("hello")), false);
  });
}
