/*
 * An open folder of a tree that belongs to somebody who may change it at any moment. What is in it is named through its descriptor,
 * so that nothing that takes its place, or the place of a folder around it, is reached by mistake.
 */
import { closeSync, constants, openSync } from "node:fs";

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
export const IS_LINUX = process.platform === "linux";
/** Linux: names a file and opens nothing. Node has no name for it. */
export const O_PATH = 0o10000000;
/** Of a folder that is being made. */
export const PRIVATE_FOLDER = 0o700;

/** There is no such file or folder, or it is something else than was asked for. */
export class NotThere extends Error {
  readonly code = "not_there";
}

/** An open folder. Where there is no /proc, names are resolved anew each time: there, no conversation has a user of its own. */
export class Folder {
  readonly fd: number;
  readonly #path: string;

  constructor(path: string) {
    try {
      this.fd = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      throw notThere(error);
    }
    this.#path = IS_LINUX ? `/proc/self/fd/${this.fd}` : path;
  }

  /** A name in it, for calls that don't follow a link at its end. */
  to(name: string): string {
    return `${this.#path}/${name}`;
  }

  get path(): string {
    return `${this.#path}/`;
  }

  close(): void {
    closeSync(this.fd);
  }
}

export function orNotThere<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw notThere(error);
  }
}

function notThere(error: unknown): unknown {
  return hasCode(error, "ENOENT", "ENOTDIR", "ELOOP", "ENXIO") ? new NotThere() : error;
}

export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? "");
}
