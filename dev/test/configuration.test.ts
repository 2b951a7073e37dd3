/* The configuration that is generated from wrangler.toml for a snapshot of the Worker. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "smol-toml";
import { readConfiguration, snapshotConfiguration } from "../configuration.ts";
import type { Configuration } from "../configuration.ts";
import { ROOT } from "../tools.mjs";

const configuration = parse(`
main = "build/index.js"
compatibility_date = "2026-11-17"
a_setting_of_next_year = { directory = "./assets", depth = [1, "./deeper"] }
[build]
command = "node dev/build.mjs"
[[containers]]
class_name = "Account"
image = "./container/Dockerfile"
instance_type = "standard-2"
max_instances = 500
rollout_active_grace_period = 900
ssh = { enabled = false }
[assets]
directory = "./build/assets"
binding = "ASSETS"
[[r2_buckets]]
binding = "FILES"
bucket_name = "files"
[vars]
SCRIPT = "./stays"
MAX_TURNS = 3
`) as Configuration;

test("a snapshot's configuration carries every setting through, without the build step and with the checkout's paths", () => {
  assert.deepEqual(snapshotConfiguration(configuration), {
    main: "build/index.js",
    compatibility_date: "2026-11-17",
    a_setting_of_next_year: { directory: join(ROOT, "assets"), depth: [1, join(ROOT, "deeper")] },
    containers: [
      {
        class_name: "Account",
        image: join(ROOT, "container/Dockerfile"),
        instance_type: "standard-2",
        max_instances: 500,
        rollout_active_grace_period: 900,
        ssh: { enabled: false },
      },
    ],
    assets: { directory: "./build/assets", binding: "ASSETS" },
    r2_buckets: [{ binding: "FILES", bucket_name: "files" }],
    vars: { SCRIPT: "./stays", MAX_TURNS: 3 },
  });
});

test("a container that its object schedules names its images and keeps no setting of the other policy", () => {
  const { containers } = snapshotConfiguration(configuration, { schedulingPolicy: "durable_object" });
  const images = { agent: { dockerfile: join(ROOT, "container/Dockerfile") } };
  assert.deepEqual(containers, [{ class_name: "Account", ssh: { enabled: false }, scheduling_policy: "durable_object", images }]);
});

test("added vars join those of wrangler.toml and keep their types", () => {
  const { vars } = snapshotConfiguration(configuration, { vars: { MAX_TURNS: 5, MCP_SERVERS: { web: { type: "http" } } } });
  assert.deepEqual(vars, { SCRIPT: "./stays", MAX_TURNS: 5, MCP_SERVERS: { web: { type: "http" } } });
});

test("the image that wrangler.toml names is a file of this checkout", async () => {
  const [container] = snapshotConfiguration(await readConfiguration()).containers ?? [];
  assert.ok(existsSync(String(container?.image)));
});

test("settings that are left out are not in it, and all others are", () => {
  const { r2_buckets, ...others } = snapshotConfiguration(configuration);
  assert.ok(r2_buckets);
  assert.deepEqual(snapshotConfiguration(configuration, { without: ["r2_buckets"] }), others);
});
