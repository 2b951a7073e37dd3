/** A call of a tool that the caller's own application runs. Somebody may stand in for it here. */
import { useState } from "react";
import { ToolInput } from "../chat/tool-input.tsx";
import { Button } from "../ui/controls.tsx";
import type { FormProps } from "./action.ts";

export function ResultForm({ action: { tool = "", input }, isBusy, decide }: FormProps) {
  const [content, setContent] = useState("");
  const [hasFailed, setFailed] = useState(false);
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    decide({ decision: "result", content, ...(hasFailed && { is_error: true }) });
  };
  return (
    <form onSubmit={submit}>
      <p>The application that asked the question runs this tool and answers with its result. You can give a result in its place.</p>
      <ToolInput name={tool} input={input} />
      <label>
        Result, as JSON or text
        <textarea required rows={3} spellCheck={false} className="json" value={content} onChange={(event) => setContent(event.target.value)} />
      </label>
      <label className="option">
        <input type="checkbox" checked={hasFailed} onChange={(event) => setFailed(event.target.checked)} />
        <span>The tool failed, and this says why</span>
      </label>
      <div className="choices">
        <Button kind="primary" icon="send" type="submit" disabled={isBusy || content.trim() === ""}>
          Give this result
        </Button>
      </div>
    </form>
  );
}
