/*
 * Who gets through to the agent server: where it listens, whom it answers, and what a signal opens.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { freePort } from "../../dev/engine/container.ts";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import { AGENT_SERVER } from "../../dev/stack.ts";
import { framesOf, startAgent, until } from "./harness.ts";
import type { Agent } from "./harness.ts";

const TOKEN = "t0ken-of-this-start";
/** On Linux all of 127.0.0.0/8 is this machine, and only the one address is asked for. */
const OTHER_ADDRESSES = [
  ...(process.platform === "linux" ? ["127.0.0.2"] : []),
  ...Object.values(networkInterfaces()).flatMap((list) => (list ?? []).filter((net) => !net.internal && net.family === "IPv4").map((net) => net.address)),
];
/** proc(5): a mask with a bit for each signal, from 1 on. */
const SIGUSR1_BIT = 1n << 9n;

let model: Model;
before(async () => {
  model = await startModel();
});
after(() => model.close());

type Sent = { method?: string; path?: string; headers?: Record<string, string>; body?: string };
type Answer = { status: number; code: string | undefined };

/** Its headers are sent as they are, which `fetch` does not let anybody do. A body is announced and never sent. */
function ask(agent: Agent, { method = "GET", path = "/healthz", headers = {}, body }: Sent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const announced = body === undefined ? {} : { "content-length": String(body.length + 1) };
    const call = request(`${agent.url}${path}`, { method, headers: { ...headers, ...announced }, agent: false }, async (response) => {
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) text += chunk as string;
      call.destroy();
      resolve({ status: response.statusCode ?? 0, code: (JSON.parse(text) as { code?: string }).code });
    });
    call.on("error", reject);
    if (body === undefined) call.end();
    else call.write(body);
  });
}

function connects(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

const portOf = (agent: Agent): number => Number(new URL(agent.url).port);

describe("HOST", () => {
  for (const [what, env, reached] of [
    ["left out, the server listens on loopback alone", {}, false],
    ["127.0.0.1, the server listens there and nowhere else", { HOST: "127.0.0.1" }, false],
    ["*, the server listens on every interface", { HOST: "*" }, true],
  ] as const) {
    test(`is ${what}`, async () => {
      assert.ok(OTHER_ADDRESSES.length > 0, "this machine has a second address");
      const agent = await startAgent(model, { WARM_SESSIONS: "0", ...env });
      try {
        assert.equal(await connects("127.0.0.1", portOf(agent)), true);
        for (const address of OTHER_ADDRESSES) assert.equal(await connects(address, portOf(agent)), reached, address);
      } finally {
        await agent.stop();
      }
    });
  }
});

describe("a server with a token", () => {
  let agent: Agent;
  before(async () => {
    agent = await startAgent(model, { AGENT_TOKEN: TOKEN });
  });
  after(() => agent.stop());

  for (const [method, path] of [
    ["GET", "/healthz"],
    ["POST", "/turns"],
    ["GET", "/turns/x"],
    ["POST", "/turns/x/cancel"],
    ["POST", "/turns/x/park"],
    ["POST", "/turns/x/actions/y"],
    ["DELETE", "/turns/x"],
    ["DELETE", "/sessions/00000000-0000-0000-0000-000000000000"],
    ["POST", "/sessions/00000000-0000-0000-0000-000000000000/stop"],
    ["GET", "/nowhere"],
  ] as const) {
    test(`answers 401 to ${method} ${path} without it, before the body is there`, async () => {
      const body = method === "POST" ? { body: '{"turn_id":"x"' } : {};
      assert.deepEqual(await ask(agent, { method, path, ...body }), { status: 401, code: "unauthorized" });
    });
  }

  for (const authorization of ["Bearer", "Bearer ", `Bearer ${TOKEN}x`, `Bearer x${TOKEN}`, `Basic ${TOKEN}`, TOKEN, "Bearer undefined"]) {
    test(`takes no ${JSON.stringify(authorization)} for it`, async () => {
      assert.deepEqual(await ask(agent, { headers: { authorization } }), { status: 401, code: "unauthorized" });
    });
  }

  test("runs a turn for whoever has it, whose agent sees nothing of it", async () => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    assert.equal((await ask(agent, { headers })).status, 200);
    const prompt = '[[tool Bash {"command":"env; cat /proc/[0-9]*/cmdline | tr \'\\\\0\' \' \'"}]]';
    const body = JSON.stringify({ turn_id: "with-token", agent_session: null, prompt });
    const answer = await (await fetch(`${agent.url}/turns`, { method: "POST", headers, body })).text();
    assert.match(answer, /"status":"completed"/);
    assert.match(answer, /HOME=/);
    assert.ok(!answer.includes(TOKEN) && !answer.includes("AGENT_TOKEN"));
    assert.ok(!JSON.stringify(agent.logs).includes(TOKEN));
  });

  test("lets no agent decide what its turn waits for, even one that knows the call", async () => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const own = `${agent.url}/turns/own/actions`;
    // What the turn leaves running asks again and again for leave in its own name, with the call's name as soon as that is there.
    const attack = `while [ ! -e call ]; do sleep 0.02; done; curl -s -o /dev/null -w '%{http_code}' -d '{"decision":"allow"}' ${own}/$(cat call) > answer.new; mv answer.new answer`;
    const prompt = `[[tool Bash ${JSON.stringify({ command: `(${attack}) > /dev/null 2>&1 &` })}]] [[tool Bash {"command":"touch allowed"}]] [[say done]]`;
    const body = JSON.stringify({ turn_id: "own", agent_session: null, prompt, actions: true, options: { ask_tools: ["Bash(touch:*)"] } });
    const response = await fetch(`${agent.url}/turns`, { method: "POST", headers, body });
    let session = "";
    let allowed = true;
    const at = (name: string): string => join(agent.root, "workspace", session, name);
    for await (const frame of framesOf(response)) {
      if (frame.type === "started") session = frame.agent_session;
      if (frame.type !== "action") continue;
      writeFileSync(at("call.new"), frame.reference);
      renameSync(at("call.new"), at("call"));
      const answer = await until(() => (existsSync(at("answer")) ? readFileSync(at("answer"), "utf8") : undefined), "the agent did not try");
      assert.equal(answer, "401");
      allowed = existsSync(at("allowed"));
      assert.equal((await fetch(`${own}/${frame.reference}`, { method: "POST", headers, body: '{"decision":"deny"}' })).status, 200);
    }
    assert.equal(allowed, false);
    assert.equal(existsSync(at("allowed")), false);
  });

  test("refuses web pages and other names whatever they know", async () => {
    const authorization = `Bearer ${TOKEN}`;
    for (const headers of [{ origin: "http://localhost" }, { origin: "null" }, { host: "evil.example" }, { host: "container.evil.example" }]) {
      assert.deepEqual(await ask(agent, { headers: { authorization, ...headers } }), { status: 403, code: "forbidden" });
    }
  });
});

describe("a server without a token", () => {
  let agent: Agent;
  before(async () => {
    agent = await startAgent(model, { WARM_SESSIONS: "0" });
  });
  after(() => agent.stop());

  for (const host of ["container", "container:8080", "localhost", "localhost:1", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080", "CONTAINER"]) {
    test(`answers whoever calls it ${host}`, async () => {
      assert.equal((await ask(agent, { headers: { host } })).status, 200);
    });
  }

  for (const host of ["evil.example", "127.0.0.2", "localhost.evil.example", "evil.example:8080", "localhost:", "127.0.0.1.", "::1", "model.internal", "localhost@evil"]) {
    test(`answers 403 where it is called ${JSON.stringify(host)}`, async () => {
      assert.deepEqual(await ask(agent, { headers: { host } }), { status: 403, code: "forbidden" });
    });
  }

  test("answers 403 to whatever has an Origin, before the body is there", async () => {
    for (const origin of ["http://localhost:8787", "null", "", "https://evil.example"]) {
      assert.deepEqual(await ask(agent, { method: "POST", path: "/turns", headers: { origin }, body: "{" }), { status: 403, code: "forbidden" });
    }
  });
});

describe("SIGUSR1", () => {
  test("opens no debugger on the running server", async () => {
    const port = await freePort();
    const agent = await startAgent(model, { WARM_SESSIONS: "0", NODE_OPTIONS: `--inspect-port=${port}` });
    try {
      agent.child.kill("SIGUSR1");
      assert.equal((await agent.health()).status, "ok");
      assert.equal(await connects("127.0.0.1", port), false);
      if (process.platform === "linux") {
        const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${agent.child.pid}/status`, "utf8"))?.[1];
        assert.equal(BigInt(`0x${caught}`) & SIGUSR1_BIT, 0n, "nobody catches the signal");
      }
    } finally {
      await agent.stop();
    }
  });

  test("does so wherever the server is started", () => {
    const text = (file: string): string => readFileSync(join(import.meta.dirname, "..", file), "utf8");
    const image = JSON.parse(/^CMD (\[.*\])$/m.exec(text("Dockerfile"))?.[1] ?? "[]") as string[];
    const script = (JSON.parse(text("package.json")) as { scripts: { start: string } }).scripts.start.split(" ");
    for (const command of [image, script, AGENT_SERVER.command.slice(0)]) assert.deepEqual(command.slice(1), ["--disable-sigusr1", "src/main.ts"]);
  });
});
