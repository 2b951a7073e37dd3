/*
 * The folders of a conversation: where they are, whose they are, and how they go.
 * What belongs to another user is never walked through by the server, which is root then: the agent could put a link in its way.
 * It is handed over before that user has a process, and removed by that user itself.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, lchownSync, readdirSync } from "node:fs";
import { chmod, chown, mkdir, readdir, rm, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "./config.ts";
import type { User, Users } from "./users.ts";

export type Paths = {
  /** The server's: it holds the transcript and the folders below but the workspace. */
  state: string;
  workspace: string;
  /** The CLI's configuration. Of one process: it begins empty and ends with it. */
  config: string;
  tmp: string;
  home: string;
};

/** The user's own, and nobody else's. */
const PRIVATE = 0o700;
/** Others may go through and not look around. */
const PASSAGE = 0o711;
/** Where any program may leave files. */
const SHARED_FOLDERS = ["/tmp", "/var/tmp", "/dev/shm"];

export function pathsOf({ workspaceRoot, stateRoot }: Config, session: string): Paths {
  const state = join(stateRoot, session);
  return { state, workspace: join(workspaceRoot, session), config: join(state, "config"), tmp: join(state, "tmp"), home: join(state, "home") };
}

/** Once at the start of a server whose conversations have users of their own: the way to their folders, and whose those are that are there. */
export async function openRoots({ workspaceRoot, stateRoot }: Config, users: Users): Promise<void> {
  // What anyone writes into a shared folder is for its writer alone.
  process.umask(0o077);
  for (const root of [workspaceRoot, stateRoot]) {
    await mkdir(root, { recursive: true });
    await chmod(root, PASSAGE);
  }
  for (const session of await readdir(workspaceRoot)) users.keep(session, (await stat(join(workspaceRoot, session))).uid);
}

/** All of them are there and the user's, but `config`: that is the server's until `handOver`. */
export async function makeFolders(paths: Paths, user: User | undefined): Promise<void> {
  await mkdir(paths.state, { recursive: true, mode: PRIVATE });
  if (user === undefined) {
    await Promise.all([paths.workspace, paths.config, paths.tmp, paths.home].map((path) => mkdir(path, { recursive: true, mode: PRIVATE })));
    return;
  }
  await chmod(paths.state, PASSAGE);
  for (const path of [paths.workspace, paths.tmp, paths.home]) {
    await mkdir(path, { recursive: true, mode: PRIVATE });
    await chown(path, user.uid, user.gid);
  }
  await removeFolders([paths.config], user);
  await mkdir(paths.config, { mode: PRIVATE });
}

/** Gives a folder that the server made, with all that is in it, to a user that has no process yet. */
export function handOver(folder: string, { uid, gid }: User): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) lchownSync(join(entry.parentPath, entry.name), uid, gid);
  lchownSync(folder, uid, gid);
  chmodSync(folder, PRIVATE);
}

/** They are gone, or it rejects. One that is not there is gone. The user has no process any more. */
export async function removeFolders(folders: readonly string[], user: User | undefined): Promise<void> {
  if (user === undefined) await Promise.allSettled(folders.map((folder) => rm(folder, { recursive: true, force: true, maxRetries: 3 })));
  const full = await notRemoved(folders);
  if (full.length === 0) return;
  await asUser(user, 'chmod -Rf u+rwx -- "$@"; rm -rf -- "$@"', full);
  const [left] = await notRemoved(full);
  if (left !== undefined) throw new Error(`${left} holds what its user cannot remove`);
}

/** What the user left in the folders that all share, and whatever of its processes outran its end. */
export async function removeTraces(user: User | undefined): Promise<void> {
  if (user === undefined) return;
  await asUser(user, `kill -s KILL -- -1; find "$@" -xdev -user ${user.uid} -delete`, SHARED_FOLDERS);
}

/** Those that are not empty; their parents are the server's. */
async function notRemoved(folders: readonly string[]): Promise<string[]> {
  const full = await Promise.all(
    folders.map((folder) =>
      rmdir(folder).then(
        () => [],
        (error: NodeJS.ErrnoException) => {
          if (error.code === "ENOENT") return [];
          if (error.code === "ENOTEMPTY" || error.code === "EEXIST") return [folder];
          throw error;
        },
      ),
    ),
  );
  return full.flat();
}

/** Its status says nothing: what it was to do is looked at afterwards. */
async function asUser(user: User | undefined, script: string, folders: readonly string[]): Promise<void> {
  const child = spawn("/bin/sh", ["-c", script, "sh", ...folders], { ...user, cwd: "/", env: { PATH: "/usr/bin:/bin" }, stdio: "ignore" });
  await once(child, "exit");
}
