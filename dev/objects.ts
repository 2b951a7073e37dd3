/**
 * The objects' databases as workerd keeps them on disk: one SQLite file an object, named by the object's id.
 * Tests and benchmarks move time by writing the past into their rows, while no workerd serves them.
 */
import { createHash, createHmac } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const WORKER = "claude-agent-service";
/** Bytes of an object's id that are its name's; the rest proves them. */
const NAME_BYTES = 16;

export type ObjectClass = "Account" | "Directory";

/** workerd's idFromName. */
function objectId(namespace: string, name: string): string {
  const key = createHash("sha256").update(namespace).digest();
  const mac = (data: string | Buffer): Buffer => createHmac("sha256", key).update(data).digest().subarray(0, NAME_BYTES);
  const base = mac(name);
  return Buffer.concat([base, mac(base)]).toString("hex");
}

/** The file of the object's database, under the directory that wrangler persists to. */
export function databaseFile(state: string, objectClass: ObjectClass, name: string): string {
  const namespace = `${WORKER}-${objectClass}`;
  return join(state, "v3/do", namespace, `${objectId(namespace, name)}.sqlite`);
}

/** Opens an object's database and closes it when `use` has returned. The object must exist. */
export function withDatabase<T>(state: string, objectClass: ObjectClass, name: string, use: (database: DatabaseSync) => T): T {
  const file = databaseFile(state, objectClass, name);
  if (!existsSync(file)) throw new Error(`the object ${objectClass} ${name} has no database at ${file}`);
  const database = new DatabaseSync(file);
  try {
    return use(database);
  } finally {
    database.close();
  }
}

/** Takes an object's alarm away: it wakes when it is asked something, and not before. */
export function forgetAlarm(state: string, objectClass: ObjectClass, name: string): void {
  const namespace = `${WORKER}-${objectClass}`;
  const database = new DatabaseSync(join(state, "v3/do", namespace, "metadata.sqlite"));
  try {
    database.prepare("delete from _cf_ALARM where actor_id = ?").run(objectId(namespace, name));
  } finally {
    database.close();
  }
}

/** When an object's alarm is due, in milliseconds since the epoch. */
export function alarmOf(state: string, objectClass: ObjectClass, name: string): number | undefined {
  const namespace = `${WORKER}-${objectClass}`;
  const database = new DatabaseSync(join(state, "v3/do", namespace, "metadata.sqlite"));
  try {
    const row = database.prepare("select scheduled_time / 1000000 as ms from _cf_ALARM where actor_id = ?").get(objectId(namespace, name));
    return row === undefined ? undefined : Number(row["ms"]);
  } finally {
    database.close();
  }
}

/** The shard of an account, as src/directory/shards.rs has it. */
export function shardOf(accountId: string, shards: number): number {
  return Number(createHash("sha256").update(accountId).digest().readBigUInt64BE() % BigInt(shards));
}
