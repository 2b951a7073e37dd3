/**
 * The objects' databases as workerd keeps them on disk: a directory for each class, one SQLite file in it for each object.
 * Tests and benchmarks move time by writing the past into their rows, while no workerd serves them.
 */
import { createHash, createHmac } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ROOT } from "./tools.mjs";

/** Bytes of an object's id that are its name's; the rest proves them. */
const NAME_BYTES = 16;

/** The objects of one class. Its directory has the name that workerd knows the class by. */
export class Objects {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Those of a class of this Worker, under the directory that wrangler persists to. */
  static ofStack(state: string, objectClass: "Account" | "Directory"): Objects {
    return new Objects(join(state, "v3/do", `claude-agent-service-${objectClass}`));
  }

  /** Opens an object's database and closes it when `use` has returned. The object must exist. */
  open<T>(name: string, use: (database: DatabaseSync) => T): T {
    const file = join(this.#directory, `${this.id(name)}.sqlite`);
    if (!existsSync(file)) throw new Error(`the object ${name} has no database at ${file}`);
    return withDatabase(file, use);
  }

  /** Takes an object's alarm away: it wakes when it is asked something, and not before. */
  forgetAlarm(name: string): void {
    withDatabase(join(this.#directory, "metadata.sqlite"), (database) => {
      database.prepare("delete from _cf_ALARM where actor_id = ?").run(this.id(name));
    });
  }

  /** When an object's alarm is due, in milliseconds since the epoch. */
  alarm(name: string): number | undefined {
    return withDatabase(join(this.#directory, "metadata.sqlite"), (database) => {
      const row = database.prepare("select scheduled_time / 1000000 as ms from _cf_ALARM where actor_id = ?").get(this.id(name));
      return row === undefined ? undefined : Number(row["ms"]);
    });
  }

  /** workerd's idFromName, in hexadecimal digits. */
  id(name: string): string {
    const key = createHash("sha256").update(basename(this.#directory)).digest();
    const mac = (data: string | Buffer): Buffer => createHmac("sha256", key).update(data).digest().subarray(0, NAME_BYTES);
    const base = mac(name);
    return Buffer.concat([base, mac(base)]).toString("hex");
  }
}

/** Gives an account's object, which was only asked for and so has stored nothing, the tables that its first query would make. */
export function makeAccountTables(database: DatabaseSync): void {
  if (database.prepare("select 1 from sqlite_schema where name = 'schema_migrations'").get() !== undefined) return;
  const folder = join(ROOT, "src/store/migrations");
  database.exec("create table schema_migrations (version integer primary key, applied_at integer not null) strict");
  for (const file of readdirSync(folder).filter((name) => !name.includes("directory")).sort()) {
    database.exec(readFileSync(join(folder, file), "utf8"));
    database.prepare("insert into schema_migrations (version, applied_at) values (?, 0)").run(Number.parseInt(file, 10));
  }
}

function withDatabase<T>(file: string, use: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(file);
  try {
    return use(database);
  } finally {
    database.close();
  }
}

/** The name of the directory shard that an account is in, as src/directory/shards.rs has it. */
export function shardOf(accountId: string, shards: number): string {
  return `shard-${createHash("sha256").update(accountId).digest().readBigUInt64BE() % BigInt(shards)}`;
}
