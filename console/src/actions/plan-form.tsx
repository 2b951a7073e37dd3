/** A plan that has to be approved before the agent begins. */
import { Markdown } from "../chat/markdown.tsx";
import { fieldsOf, stringOf } from "../shapes.ts";
import { Button } from "../ui/controls.tsx";
import type { FormProps } from "./action.ts";
import { DenyForm } from "./permission-form.tsx";

export function PlanForm({ action: { input }, isBusy, decide }: FormProps) {
  return (
    <>
      <Plan input={input} />
      <div className="choices">
        <Button kind="primary" icon="check" disabled={isBusy} onClick={() => decide({ decision: "allow" })}>
          Approve
        </Button>
      </div>
      <DenyForm label="Keep planning" placeholder="What should be different? (optional)" isBusy={isBusy} decide={decide} />
    </>
  );
}

export function Plan({ input }: { input: unknown }) {
  const plan = stringOf(fieldsOf(input)["plan"]);
  if (plan === "") return <p className="fine">The agent wrote no plan down.</p>;
  return (
    <div className="plan" tabIndex={0} role="region" aria-label="Plan">
      <Markdown text={plan} />
    </div>
  );
}
