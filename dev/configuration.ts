/**
 * wrangler.toml as data, and the configuration of a snapshot of the Worker that is generated from it.
 * Whatever this program does not know is carried through, so that wrangler.toml can use all of wrangler's settings.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "smol-toml";
import type { Unstable_RawConfig } from "wrangler";
import { ROOT } from "./tools.mjs";

export type Configuration = Unstable_RawConfig;

export type SnapshotOptions = {
  /** Who says what a container runs: wrangler.toml (the default), or its object, by the images that are named there. */
  schedulingPolicy?: "default" | "durable_object";
  /** Added to those of wrangler.toml. Any JSON value, whereas wrangler's command line takes strings alone. */
  vars?: Record<string, unknown>;
  /** Settings that are added to those of wrangler.toml, such as another kind of binding. */
  added?: Configuration;
  /** Settings of wrangler.toml that are left out, such as a kind of binding. */
  without?: readonly (keyof Configuration)[];
};

/** The built Worker, of which the snapshot has a copy at the same path. */
const BUILD = "./build/";

export async function readConfiguration(): Promise<Configuration> {
  return parse(await readFile(join(ROOT, "wrangler.toml"), "utf8")) as Configuration;
}

/**
 * The configuration of a Worker that is built already and stands outside the checkout. It has no build step. A string that starts
 * with `./` is a path: it goes on naming what it names in the checkout, except in `vars`, which are the Worker's to understand.
 */
export function snapshotConfiguration(configuration: Configuration, { schedulingPolicy = "default", vars = {}, added = {}, without = [] }: SnapshotOptions = {}): Configuration {
  const { build: _build, vars: ownVars, containers = [], ...rest } = configuration;
  const others = Object.fromEntries(Object.entries(rest).filter(([name]) => !without.includes(name as keyof Configuration)));
  const scheduled = schedulingPolicy === "default" ? containers : containers.map(scheduledByObject);
  return { ...(inCheckout({ ...others, ...added, containers: scheduled }) as Configuration), vars: { ...ownVars, ...vars } as NonNullable<Configuration["vars"]> };
}

/** The instance type, the number of instances and the rollout of such a container are not wrangler's to set. */
function scheduledByObject(container: NonNullable<Configuration["containers"]>[number]): unknown {
  const { image, instance_type: _type, max_instances: _max, rollout_active_grace_period: _grace, ...others } = container;
  return { ...others, scheduling_policy: "durable_object", images: { agent: { dockerfile: image } } };
}

/** The same value, with the paths in it absolute. */
function inCheckout(value: unknown): unknown {
  if (typeof value === "string") return value.startsWith("./") && !value.startsWith(BUILD) ? join(ROOT, value) : value;
  if (Array.isArray(value)) return value.map(inCheckout);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, inCheckout(inner)]));
}
