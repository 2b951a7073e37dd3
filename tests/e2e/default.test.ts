/*
 * All topics that need no configuration of their own, on one stack: starting one costs seconds.
 * A topic's tests never depend on another's: each takes accounts of its own.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { service } from "./support.ts";
import { archives } from "./topics/archives.ts";
import { attachments } from "./topics/attachments.ts";
import { branches } from "./topics/branches.ts";
import { busy } from "./topics/busy.ts";
import { cancelling } from "./topics/cancelling.ts";
import { changes } from "./topics/changes.ts";
import { conversations } from "./topics/conversations.ts";
import { credential } from "./topics/credential.ts";
import { deaths } from "./topics/deaths.ts";
import { feed } from "./topics/feed.ts";
import { files } from "./topics/files.ts";
import { health } from "./topics/health.ts";
import { include } from "./topics/include.ts";
import { input } from "./topics/input.ts";
import { methods } from "./topics/methods.ts";
import { modelFailures } from "./topics/model-failures.ts";
import { pages } from "./topics/pages.ts";
import { query } from "./topics/query.ts";
import { queue } from "./topics/queue.ts";
import { readme } from "./topics/readme.ts";
import { restarts } from "./topics/restarts.ts";
import { schemas } from "./topics/schemas.ts";
import { smoke } from "./topics/smoke.ts";
import { streaming } from "./topics/streaming.ts";
import { traces } from "./topics/traces.ts";
import { turns } from "./topics/turns.ts";
import { uploads } from "./topics/uploads.ts";
import { workspaces } from "./topics/workspaces.ts";

const running = service();

const topics = {
  health, smoke, query, conversations, pages, changes, input, methods, credential, streaming, turns, queue, cancelling, modelFailures, deaths,
  restarts, traces, readme, files, uploads, archives, workspaces, include, feed, attachments,
  busy, schemas, branches,
};
/** Above the slowest topic by far: a hang fails its topic, not the run. */
const TOPIC_TIMEOUT_MS = 600_000;

// The first test waits for the stack, which may have to be built: that time is no topic's.
test("the product starts", () => assert.match(running.url, /^http:/));

for (const [name, topic] of Object.entries(topics)) describe(name, { timeout: TOPIC_TIMEOUT_MS }, () => topic(running));
