/** The life of a container under the local engine, driven by the calls that workerd makes. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { after, before, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { isRunning } from "../../container/src/reap.ts";
import { Docker, TIME_LIMIT } from "./support.ts";

let docker: Docker;
before(async () => {
  docker = await Docker.start();
});
after(() => docker.stop());

/** A name that no other test uses. */
let made = 0;
const newName = (): string => `workerd-service-Account-${String(++made).padStart(8, "0")}`;

describe("a container", TIME_LIMIT, () => {
  test("gets the environment that it was created with", async () => {
    const container = await docker.run(newName(), { GREETING: "a=b c" });
    assert.equal((await container.env())["GREETING"], "a=b c");
  });

  test("gets nothing of the host's environment that is not an image's to set", async () => {
    process.env["ANTHROPIC_API_KEY"] = "the developer's own";
    const env = await (await docker.run(newName())).env();
    delete process.env["ANTHROPIC_API_KEY"];
    assert.equal(env["ANTHROPIC_API_KEY"], undefined);
  });

  test("is told to listen on loopback alone, whatever its environment says", async () => {
    const env = await (await docker.run(newName(), { HOST: "*" })).env();
    assert.equal(env["HOST"], "127.0.0.1");
  });

  test("has directories of its own, which go when it ends", async () => {
    const container = await docker.run(newName());
    const { HOME, TMPDIR, WORKSPACE_ROOT, STATE_ROOT } = await container.env();
    const directories = [HOME, TMPDIR, WORKSPACE_ROOT, STATE_ROOT].map((directory) => directory ?? "");
    assert.equal(new Set(directories).size, 4);
    assert.ok(directories.every(existsSync));
    await docker.call("DELETE", `/containers/${container.name}?force=true`);
    assert.ok(!existsSync(dirname(directories[0] ?? "")));
  });

  test("is running from its start on, and exited with its code from its end on", async () => {
    const container = await docker.run(newName());
    assert.equal((await container.inspect()).Status, "running");
    const waited = container.wait();
    await container.get("/exit?code=3");
    await waited;
    assert.deepEqual(await container.inspect(), { Status: "exited", Running: false, ExitCode: 3 });
  });

  test("tells everyone who waits how it ended, also those who come late", async () => {
    const container = await docker.run(newName());
    const early = [container.wait(), container.wait()];
    await container.get("/exit?code=7");
    const answers = [...(await Promise.all(early)), await container.wait()];
    assert.deepEqual(answers, Array(3).fill({ status: 200, body: { StatusCode: 7 } }));
  });

  test("can be started again after it ended", async () => {
    const container = await docker.run(newName());
    const waited = container.wait();
    await container.get("/exit?code=1");
    await waited;
    assert.equal((await docker.call("POST", `/containers/${container.name}/start`)).status, 204);
    await container.listening();
  });

  test("that runs is not started twice", async () => {
    const container = await docker.run(newName());
    assert.equal((await docker.call("POST", `/containers/${container.name}/start`)).status, 304);
  });

  test("that is asked to start twice at once starts once", async () => {
    const name = newName();
    await docker.create(name);
    const start = (): Promise<unknown> => docker.call("POST", `/containers/${name}/start`);
    await Promise.all([start(), start()]);
    assert.equal(docker.lines.filter((line) => line.startsWith(`[container ${name.slice(-8)}] started`)).length, 1);
  });

  test("that is deleted while it starts does not come up", async () => {
    const name = newName();
    await docker.create(name);
    await Promise.all([docker.call("POST", `/containers/${name}/start`), docker.call("DELETE", `/containers/${name}?force=true`)]);
    const log = docker.lines.filter((line) => line.startsWith(`[container ${name.slice(-8)}]`));
    assert.deepEqual(log.map((line) => line.includes("exited")), log.length === 0 ? [] : [false, true]);
  });

  test("keeps its name for itself until it is deleted", async () => {
    const { name } = await docker.run(newName());
    assert.equal((await docker.create(name)).status, 409);
    await docker.call("DELETE", `/containers/${name}?force=true`);
    assert.equal((await docker.create(name)).status, 201);
  });

  test("is found again by the next wrangler, whose session is another", async () => {
    await docker.run("workerd-0123456789abcdef-service-Account-again");
    const { status, body } = await docker.call("GET", "/containers/workerd-fedcba9876543210-service-Account-again/json");
    assert.equal(status, 200);
    assert.equal((body as { State: { Status: string } }).State.Status, "running");
  });

  test("that nobody made answers 404", async () => {
    for (const path of ["/containers/nobody/json", "/containers/nobody/wait"]) {
      assert.equal((await docker.call("GET", path)).status, 404);
    }
  });

  test("is listed by its label, with the network that it joined", async () => {
    const name = newName();
    await docker.create(name, { Labels: { session: "one" } });
    const filters = (label: string): string => encodeURIComponent(JSON.stringify({ label: [label] }));
    const { body } = await docker.call("GET", `/containers/json?all=1&filters=${filters("session=one")}`);
    assert.deepEqual((body as { Names: string[] }[]).map(({ Names }) => Names), [[`/${name}`]]);
    assert.deepEqual((await docker.call("GET", `/containers/json?all=1&filters=${filters("session=two")}`)).body, []);
  });

  test("writes into the log, line by line", async () => {
    const { name } = await docker.run(newName());
    assert.ok(docker.lines.some((line) => line.startsWith(`[container ${name.slice(-8)}] started, pid `)));
  });
});

/** Waits until a process that was killed has died; the test's time limit ends the wait. */
async function ended(pid: number): Promise<void> {
  while (await isRunning(pid)) await setImmediate();
}

describe("the end of a container", TIME_LIMIT, () => {
  test("by SIGTERM is the program's own to make", async () => {
    const container = await docker.run(newName());
    assert.equal((await docker.call("POST", `/containers/${container.name}/kill?signal=SIGTERM`)).status, 204);
    assert.deepEqual((await container.wait()).body, { StatusCode: 0 });
  });

  test("by a signal that the program does not handle is 128 and its number", async () => {
    const container = await docker.run(newName());
    await container.get("/default-sigterm");
    await docker.call("POST", `/containers/${container.name}/kill?signal=SIGTERM`);
    assert.deepEqual((await container.wait()).body, { StatusCode: 143 });
  });

  test("is SIGKILL when the program does not stop in time", async () => {
    const container = await docker.run(newName());
    await container.get("/ignore-sigterm");
    assert.equal((await docker.call("POST", `/containers/${container.name}/stop?t=0.2`)).status, 204);
    assert.equal((await container.inspect()).ExitCode, 137);
  });

  test("takes every process along, also one that left the process group", async () => {
    const container = await docker.run(newName());
    const daemon = Number(await container.get("/daemon"));
    assert.ok(await isRunning(daemon));
    await docker.call("DELETE", `/containers/${container.name}?force=true`);
    assert.ok(!(await isRunning(daemon)));
  });

  test("from outside, by kill -9, takes every process along too", async () => {
    const container = await docker.run(newName());
    const daemon = Number(await container.get("/daemon"));
    const waited = container.wait();
    process.kill(container.pid, "SIGKILL");
    assert.deepEqual((await waited).body, { StatusCode: 137 });
    await ended(daemon);
  });

  test("does not touch other containers", async () => {
    const [one, other] = [await docker.run(newName()), await docker.run(newName())];
    await docker.call("DELETE", `/containers/${one.name}?force=true`);
    assert.equal(await other.get("/"), "listening");
  });

  test("that is over is no longer to be signalled", async () => {
    const container = await docker.run(newName());
    await docker.call("POST", `/containers/${container.name}/kill?signal=SIGKILL`);
    await container.wait();
    assert.equal((await docker.call("POST", `/containers/${container.name}/kill?signal=SIGTERM`)).status, 409);
  });
});

describe("the engine", TIME_LIMIT, () => {
  test("answers with the reason when a program cannot be started", async (t) => {
    const broken = await Docker.start({ command: ["/nowhere/program"], cwd: "/" });
    t.after(() => broken.stop());
    await broken.create("a");
    const { status, body } = await broken.call("POST", "/containers/a/start");
    assert.equal(status, 500);
    assert.match((body as { message: string }).message, /ENOENT/);
  });

  test("refuses the 65th container", async (t) => {
    const full = await Docker.start();
    t.after(() => full.stop());
    for (let n = 0; n < 64; n++) assert.equal((await full.create(`c${n}`)).status, 201);
    assert.equal((await full.create("one-more")).status, 500);
  });

  test("says that it does not do what it does not do", async () => {
    const container = await docker.run(newName());
    assert.equal((await docker.call("POST", `/containers/${container.name}/exec`)).status, 501);
  });

  test("leaves no process, no directory and no socket behind", async () => {
    const other = await Docker.start();
    const container = await other.run("last");
    const daemon = Number(await container.get("/daemon"));
    const { HOME } = await container.env();
    const { pid } = container;
    await other.stop();
    assert.ok(!(await isRunning(pid)) && !(await isRunning(daemon)));
    assert.ok(!existsSync(dirname(dirname(HOME ?? ""))));
    assert.ok(!existsSync(other.engine.socket));
  });
});
