/** A tool call: one line that says what it does, and, opened, what went in and what came out. */
import { memo } from "react";
import { fieldsOf, plainName } from "../shapes.ts";
import { Spinner } from "../ui/controls.tsx";
import { Icon } from "../ui/icons.tsx";
import type { IconName } from "../ui/icons.tsx";
import { CodeBlock } from "./code-block.tsx";
import { ToolInput } from "./tool-input.tsx";
import type { ToolPart } from "./turns.ts";

/** By the tool's name: an icon, what it does and did, and the field of its input that tells most. */
const TOOLS: Record<string, [icon: IconName, doing: string, did: string, field: string]> = {
  Bash: ["terminal", "Running", "Ran", "command"],
  BashOutput: ["terminal", "Reading the output of", "Read the output of", "bash_id"],
  Read: ["file", "Reading", "Read", "file_path"],
  Write: ["file", "Writing", "Wrote", "file_path"],
  Edit: ["pencil", "Editing", "Edited", "file_path"],
  MultiEdit: ["pencil", "Editing", "Edited", "file_path"],
  NotebookEdit: ["pencil", "Editing", "Edited", "notebook_path"],
  Glob: ["search", "Looking for", "Looked for", "pattern"],
  Grep: ["search", "Searching for", "Searched for", "pattern"],
  WebFetch: ["globe", "Fetching", "Fetched", "url"],
  WebSearch: ["globe", "Searching the web for", "Searched the web for", "query"],
  Task: ["branch", "Delegating", "Delegated", "description"],
  Agent: ["branch", "Delegating", "Delegated", "description"],
  TodoWrite: ["check", "Planning", "Planned", ""],
  AskUserQuestion: ["chat", "Asking you", "Asked you", ""],
  ExitPlanMode: ["check", "Planning", "Planned", ""],
};

const ENDS: Record<string, [icon: IconName, said: string]> = {
  finished: ["check", "done"],
  failed: ["warning", "failed"],
  denied: ["close", "not allowed"],
  stopped: ["stop", "stopped"],
};

export const ToolCard = memo(function ToolCard({ part }: { part: ToolPart }) {
  const { name, status, input, inputJson, result, isCut } = part;
  const [icon, doing, did, field] = TOOLS[name] ?? ["tool", "Calling", "Called", ""];
  const fields = fieldsOf(input);
  const subject = typeof fields[field] === "string" ? (fields[field] as string).split("\n")[0] : TOOLS[name] === undefined ? plainName(name) : "";
  // Of a path, the end tells most.
  const shown = field.endsWith("_path") ? subject?.slice(subject.lastIndexOf("/") + 1) : subject;
  const end = ENDS[status];
  return (
    <details className={`tool ${status}`}>
      <summary>
        <Icon name={icon} size={16} />
        <span className="tool-name">
          {end === undefined ? doing : did} <code title={subject}>{shown}</code>
        </span>
        <span className="tool-end">
          {end === undefined ? <Spinner label="running" /> : <Icon name={end[0]} size={16} />}
          {end !== undefined && <span className={status === "finished" ? "hidden" : undefined}>{end[1]}</span>}
        </span>
        <Icon name="chevron" size={14} />
      </summary>
      <div className="tool-body">
        <p className="label">Input</p>
        <ToolInput name={name} input={input ?? inputJson} />
        {result !== undefined && (
          <>
            <p className="label">Result{isCut === true && " (the beginning)"}</p>
            <Result result={result} />
          </>
        )}
        {result === undefined && end !== undefined && <p className="fine">The result was not kept.</p>}
      </div>
    </details>
  );
});

function Result({ result }: { result: unknown }) {
  if (typeof result === "string") return result === "" ? <p className="fine">Nothing.</p> : <CodeBlock text={result} />;
  if (!Array.isArray(result)) return <CodeBlock language="json" text={JSON.stringify(result, null, 2)} />;
  return result.map((block: { type?: string; text?: string; media_type?: string; bytes?: number }, index) =>
    block.type === "text" ? <CodeBlock key={index} text={block.text ?? ""} /> : <p key={index} className="fine">{block.media_type ?? block.type}{block.bytes !== undefined && `, ${block.bytes.toLocaleString()} bytes`}</p>,
  );
}
