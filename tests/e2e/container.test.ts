/*
 * What leaves a container and what stays in it, on a stack whose model's API is watched byte by byte and whose containers reach nothing else.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateway } from "./topics/gateway.ts";
import { gatewayHosts } from "./topics/gateway-hosts.ts";
import { isolation } from "./topics/isolation.ts";
import { verbatim } from "./topics/verbatim.ts";
import { serviceWithUpstream } from "./upstream.ts";

const { running, upstream } = await serviceWithUpstream({ vars: { CONTAINER_INTERNET: "off" } });

const topics = { gateway, gatewayHosts, isolation, verbatim };
const TOPIC_TIMEOUT_MS = 120_000;

// The first test waits for the stack, which may have to be built: that time is no topic's.
test("the product starts", () => assert.match(running.url, /^http:/));

for (const [name, topic] of Object.entries(topics)) describe(name, { timeout: TOPIC_TIMEOUT_MS }, () => topic(running, upstream));
