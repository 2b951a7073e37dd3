/** A tool call that has to be allowed. */
import { useState } from "react";
import { ToolInput } from "../chat/tool-input.tsx";
import { fieldsOf, stringOf } from "../shapes.ts";
import { Button } from "../ui/controls.tsx";
import { suggestedRules } from "./action.ts";
import type { FormProps } from "./action.ts";

/** As the service has it, in characters that may take four bytes each. */
export const MAX_MESSAGE_CHARS = 2048;

export function PermissionForm({ action: { tool = "", input, message, suggestions }, isBusy, decide }: FormProps) {
  const rules = suggestedRules(suggestions);
  const path = stringOf(fieldsOf(input)["file_path"]) || stringOf(fieldsOf(input)["notebook_path"]);
  // The SDK may say the command itself.
  const words = new Set([message ?? "", stringOf(fieldsOf(input)["description"])].filter((each) => each !== "" && each !== fieldsOf(input)["command"]));
  return (
    <>
      {[...words].map((each) => (
        <p key={each}>{each}</p>
      ))}
      {path !== "" && <code className="path">{path}</code>}
      <ToolInput name={tool} input={input} />
      <div className="choices">
        <Button kind="primary" icon="check" disabled={isBusy} onClick={() => decide({ decision: "allow" })}>
          Allow
        </Button>
        {rules.length > 0 && (
          <Button disabled={isBusy} title={`Allows ${rules.join(", ")} in this conversation from now on`} onClick={() => decide({ decision: "allow", remember: "conversation" })}>
            Allow for this conversation
          </Button>
        )}
      </div>
      <DenyForm label="Deny" placeholder="What should it do instead? (optional)" isBusy={isBusy} decide={decide} />
    </>
  );
}

/** Refuses, with a word to the agent if one wants to say one. */
export function DenyForm({ label, placeholder, isBusy, decide }: Pick<FormProps, "isBusy" | "decide"> & { label: string; placeholder: string }) {
  const [message, setMessage] = useState("");
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    decide({ decision: "deny", ...(message.trim() !== "" && { message: message.trim() }) });
  };
  return (
    <form className="deny" onSubmit={submit}>
      <input aria-label={placeholder} placeholder={placeholder} autoComplete="off" maxLength={MAX_MESSAGE_CHARS} value={message} onChange={(event) => setMessage(event.target.value)} />
      <Button type="submit" disabled={isBusy}>
        {label}
      </Button>
    </form>
  );
}
