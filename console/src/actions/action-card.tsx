/** An action in the conversation: a form while somebody has to decide, and one line that says what was decided. */
import { memo, useEffect, useId, useRef, useState } from "react";
import type { ReactNode } from "react";
import { fieldsOf, plainName, stringOf } from "../shapes.ts";
import { Failure } from "../ui/controls.tsx";
import { distance } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import type { IconName } from "../ui/icons.tsx";
import { answersOf, outcomeOf } from "./action.ts";
import type { Action, Decision, FormProps } from "./action.ts";
import { ElicitationForm } from "./elicitation-form.tsx";
import { PermissionForm } from "./permission-form.tsx";
import { Plan, PlanForm } from "./plan-form.tsx";
import { QuestionForm } from "./question-form.tsx";
import { ResultForm } from "./result-form.tsx";

type Props = { action: Action; onDecide: (actionId: string, decision: Decision) => Promise<void>; onLate: (actionId: string) => void };

const FORMS: Record<Action["kind"], (props: FormProps) => ReactNode> = { permission: PermissionForm, question: QuestionForm, plan: PlanForm, elicitation: ElicitationForm, tool: ResultForm };
/** An action whose time is over is read again: the service says what became of it. */
const LATE_MS = 2_000;
/** The longest time that a browser's timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const ActionCard = memo(function ActionCard({ action, onDecide, onLate }: Props) {
  const { action_id, kind, status, expires_at } = action;
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  /** Whether the form was answered here: then the focus goes on to what came of it. */
  const wasHere = useRef(false);
  const heading = useId();
  const isPending = status === "pending";
  const Form = FORMS[kind];

  useEffect(() => {
    if (!isPending) return;
    const timer = setTimeout(() => onLate(action_id), Math.min(Math.max(expires_at - Date.now(), 0) + LATE_MS, MAX_TIMER_MS));
    return () => clearTimeout(timer);
  }, [isPending, expires_at, action_id, onLate]);

  const decide = (decision: Decision): void => {
    wasHere.current = true;
    setBusy(true);
    setError(undefined);
    onDecide(action_id, decision).catch((reason: unknown) => {
      setError(reason);
      setBusy(false);
    });
  };

  if (!isPending) return <Outcome action={action} takesFocus={wasHere.current} />;
  return (
    <section className="action" aria-labelledby={heading}>
      <header>
        <Icon name={iconOf(kind)} size={20} />
        <h3 id={heading}>{titleOf(action)}</h3>
      </header>
      <Form action={action} isBusy={isBusy} decide={decide} />
      {error !== undefined && <Failure error={error} />}
      <p className="fine">
        {kind === "permission" ? "It does not run unless it is allowed." : "The agent waits for it."} The question expires {distance(expires_at)}.
      </p>
    </section>
  );
});

function Outcome({ action, takesFocus }: { action: Action; takesFocus: boolean }) {
  const line = useRef<HTMLParagraphElement>(null);
  const { kind, input, status, decision } = action;
  const isGood = status === "resolved" && fieldsOf(decision)["decision"] !== "deny";
  const answers = answersOf(action);
  useEffect(() => {
    // The form that had it is gone; without this, a keyboard would begin at the top of the page.
    if (takesFocus && (document.activeElement === document.body || document.activeElement === null)) line.current?.focus({ preventScroll: true });
  }, [takesFocus]);
  return (
    <div className={isGood ? "outcome good" : "outcome"}>
      {kind === "plan" && (
        <details className="thinking">
          <summary>
            <Icon name="chevron" size={14} />
            The plan
          </summary>
          <Plan input={input} />
        </details>
      )}
      <p ref={line} tabIndex={-1}>
        <Icon name={isGood ? "check" : status === "resolved" ? "close" : "clock"} size={16} />
        {outcomeOf(action)}
      </p>
      {answers.length > 0 && (
        <dl>
          {answers.map(([question, answer]) => (
            <div key={question}>
              <dt>{question}</dt>
              <dd>{answer}</dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}

const ICONS: Record<Action["kind"], IconName> = { permission: "shield", question: "chat", plan: "check", elicitation: "chat", tool: "tool" };
const iconOf = (kind: Action["kind"]): IconName => ICONS[kind];

function titleOf({ kind, tool = "", input }: Action): string {
  if (kind === "question") return "The agent asks you";
  if (kind === "plan") return "May the agent carry out this plan?";
  if (kind === "elicitation") return `“${tool}” asks you`;
  if (kind === "tool") return `“${tool}” waits for your application`;
  const path = stringOf(input?.["file_path"]) || stringOf(input?.["notebook_path"]);
  if (tool === "Bash") return "May the agent run this command?";
  if (path !== "") return `May the agent ${tool === "Write" ? "write" : tool === "Read" ? "read" : "change"} “${path.slice(path.lastIndexOf("/") + 1)}”?`;
  if (tool === "WebFetch") return "May the agent fetch this page?";
  if (tool === "WebSearch") return "May the agent search the web for this?";
  return `May the agent use “${plainName(tool)}”?`;
}
