/** A conversation's files as a component needs them: listed, uploaded, read, deleted. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { AgentClient, Schemas } from "claude-agent-service-client";

export type StoredFile = Schemas["File"];
export type Upload = { id: number; name: string; size: number; error?: unknown };

export type Files = {
  phase: "loading" | "ready" | "failed";
  /** Whether the service has told which files there are. */
  isKnown: boolean;
  all: StoredFile[];
  hasMore: boolean;
  count: number;
  error: unknown;
  /** Uploads that go on or have failed. */
  uploads: Upload[];
  /** The path of the file that is shown. */
  shown: string | undefined;
  open: (path: string | undefined) => void;
  upload: (files: File[]) => void;
  dismiss: (id: number) => void;
  remove: (path: string) => Promise<void>;
  read: (path: string, signal: AbortSignal) => Promise<Response>;
  download: (path?: string) => Promise<void>;
  reload: () => void;
};

const PAGE = 100;
/** What a name in the browser may hold and a path may not. */
const REFUSED = /[\u0000-\u001f\u007f/]/g;

export function useFiles(client: AgentClient, sessionId: string, version: number, mayExist: boolean): Files {
  const [list, setList] = useState<Pick<Files, "phase" | "isKnown" | "all" | "hasMore" | "error">>({ phase: "loading", isKnown: false, all: [], hasMore: false, error: undefined });
  const [uploads, setUploads] = useState<Upload[]>([]);
  const [shown, open] = useState<string>();
  const [asked, setAsked] = useState(0);
  const ids = useRef(0);
  const reload = useCallback(() => setAsked((count) => count + 1), []);

  const isWanted = mayExist || asked > 0;

  useEffect(() => {
    if (!isWanted) return setList({ phase: "ready", isKnown: false, all: [], hasMore: false, error: undefined });
    const abort = new AbortController();
    client.listFiles(sessionId, { limit: PAGE, signal: abort.signal }).then(
      ({ files, next }) => setList({ phase: "ready", isKnown: true, all: files, hasMore: next !== undefined, error: undefined }),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        // A conversation that does not exist yet has no files.
        const isNew = typeof error === "object" && error !== null && "code" in error && error.code === "not_found";
        setList(isNew ? { phase: "ready", isKnown: true, all: [], hasMore: false, error: undefined } : { phase: "failed", isKnown: false, all: [], hasMore: false, error });
      },
    );
    return () => abort.abort();
  }, [client, sessionId, version, asked, isWanted]);

  const upload = useCallback(
    (files: File[]) => {
      for (const file of files) {
        const id = (ids.current += 1);
        const name = file.name.replaceAll(REFUSED, "_");
        setUploads((all) => [...all, { id, name, size: file.size }]);
        client.uploadFile(sessionId, name, file).then(
          () => {
            setUploads((all) => all.filter((each) => each.id !== id));
            reload();
          },
          (error: unknown) => setUploads((all) => all.map((each) => (each.id === id ? { ...each, error } : each))),
        );
      }
    },
    [client, sessionId, reload],
  );

  return useMemo(
    () => ({
      ...list,
      count: list.all.length,
      uploads,
      shown,
      open,
      upload,
      reload,
      dismiss: (id) => setUploads((all) => all.filter((each) => each.id !== id)),
      remove: async (path) => {
        await client.deleteFiles(sessionId, path);
        reload();
      },
      read: (path, signal) => client.readFile(sessionId, path, { signal }),
      download: async (path) => {
        const response = path === undefined ? await client.readArchive(sessionId) : await client.readFile(sessionId, path);
        save(await response.blob(), path === undefined ? `${sessionId}.zip` : path.slice(path.lastIndexOf("/") + 1));
      },
    }),
    [list, uploads, shown, upload, reload, client, sessionId],
  );
}

/** A link would not send the credential: the bytes are fetched, and saved from memory. */
function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
