/** Shows what a turn changed in a file, line by line. */
import { useCallback } from "react";
import type { AgentClient } from "claude-agent-service-client";
import { Dialog, Failure, Spinner } from "../ui/controls.tsx";
import { useLoaded } from "../ui/loaded.ts";
import { changesOf } from "./changes.ts";
import type { ChangedFile, Changes } from "./changes.ts";

export type Compared = { turnId: string; file: ChangedFile };

export function ChangesDialog({ client, sessionId, compared: { turnId, file }, onClose }: { client: AgentClient; sessionId: string; compared: Compared; onClose: () => void }) {
  const load = useCallback((signal: AbortSignal) => changesOf(client, sessionId, turnId, file, signal), [client, sessionId, turnId, file]);
  const [loaded, reload] = useLoaded(load);
  return (
    <Dialog wide title={`Changes in ${file.path}`} onClose={onClose}>
      <div className="preview">
        {loaded.phase === "loading" && <Spinner label="Comparing the file" />}
        {loaded.phase === "failed" && <Failure error={loaded.error} onRetry={reload} />}
        {loaded.phase === "ready" && <Lines changes={loaded.value} />}
      </div>
    </Dialog>
  );
}

function Lines({ changes }: { changes: Changes }) {
  if (changes.kind === "none") return <p>{changes.why}</p>;
  if (changes.hunks.length === 0) return <p>Its lines are the same as before this turn.</p>;
  return (
    <>
      <pre className="change" tabIndex={0} aria-label="Changed lines">
        {changes.hunks.map(({ title, lines }) => [
          <span key={title} className="place">{`${title}\n`}</span>,
          ...lines.map((line, index) => <Line key={`${title}${index}`} line={line} />),
        ])}
      </pre>
      {changes.omitted > 0 && <p className="fine">{changes.omitted.toLocaleString()} more lines are not shown.</p>}
    </>
  );
}

function Line({ line }: { line: string }) {
  // What the comparison itself remarks: there is no newline at the end.
  if (line.startsWith("\\")) return <span className="place">{`${line}\n`}</span>;
  const text = `${line.slice(0, 1)} ${line.slice(1)}\n`;
  if (line.startsWith("+")) return <ins className="added">{text}</ins>;
  if (line.startsWith("-")) return <del className="removed">{text}</del>;
  return <span>{text}</span>;
}
