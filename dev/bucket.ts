/**
 * The R2 bucket as miniflare keeps it on disk: a SQLite file with a row for each object, and a file for its bytes. Tests compare its keys with
 * what the objects' databases name, and damage it, while no workerd serves it.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

export class Bucket {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  /** The one bucket of this Worker, under the directory that wrangler persists to. */
  static ofStack(state: string): Bucket {
    const directory = join(state, "v3/r2/miniflare-R2BucketObject");
    const files = readdirSync(directory).filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite");
    const [file, ...more] = files;
    if (file === undefined || more.length > 0) throw new Error(`one bucket was expected in ${directory}: ${files.join()}`);
    return new Bucket(join(directory, file));
  }

  /** All keys that begin with this. */
  keys(prefix = ""): string[] {
    const all = this.#use((database) => database.prepare("select key from _mf_objects order by key").all());
    return all.map(({ key }) => String(key)).filter((key) => key.startsWith(prefix));
  }

  /** Loses an object. */
  lose(key: string): void {
    this.#change("delete from _mf_objects where key = ?", key);
  }

  /** Makes every read of an object fail, until `mend` is called. */
  spoil(key: string): void {
    this.#change("update _mf_objects set checksums = 'spoilt' where key = ?", key);
  }

  mend(key: string): void {
    this.#change("update _mf_objects set checksums = '{}' where key = ?", key);
  }

  /** Stores an object's bytes under another key as well, as a put does whose Worker died before it wrote the key down. */
  copy(key: string, to: string, uploadedAt: number): void {
    const columns = "version, size, etag, checksums, http_metadata, custom_metadata";
    this.#change(`insert into _mf_objects (key, uploaded, ${columns}) select ?, ?, ${columns} from _mf_objects where key = ?`, to, uploadedAt, key);
  }

  #change(statement: string, ...values: (string | number)[]): void {
    const { changes } = this.#use((database) => database.prepare(statement).run(...values));
    if (changes !== 1) throw new Error(`${changes} objects instead of one: ${statement} ${values.join()}`);
  }

  #use<T>(use: (database: DatabaseSync) => T): T {
    const database = new DatabaseSync(this.#file);
    try {
      return use(database);
    } finally {
      database.close();
    }
  }
}
