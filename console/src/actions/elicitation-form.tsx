/** What an MCP server asks of the user: a form of a flat schema, or a page to visit. */
import { useState } from "react";
import { CodeBlock } from "../chat/code-block.tsx";
import { fieldsOf, stringOf } from "../shapes.ts";
import { Button } from "../ui/controls.tsx";
import type { FormProps } from "./action.ts";
import { answersFrom, fieldsOfSchema, initialValues } from "./schema.ts";
import type { Field, Values } from "./schema.ts";

export function ElicitationForm({ action: { message, input, schema }, isBusy, decide }: FormProps) {
  const fields = fieldsOfSchema(schema);
  const [values, setValues] = useState<Values>(() => initialValues(fields ?? []));
  const url = stringOf(fieldsOf(input)["url"]);
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    decide({ decision: "answer", answers: answersFrom(fields ?? [], values) });
  };
  return (
    <form onSubmit={submit}>
      {message !== undefined && <p>{message}</p>}
      {/^https?:/.test(url) && (
        <p>
          <a href={url} target="_blank" rel="noopener noreferrer nofollow">
            {url}
          </a>
        </p>
      )}
      {fields?.map((field) => <Entry key={field.name} field={field} value={values[field.name]} onChange={(value) => setValues({ ...values, [field.name]: value })} />)}
      {fields === undefined && (
        <>
          <p className="fine">The console has no form for this. Your application can answer it through the API.</p>
          <CodeBlock language="json" text={JSON.stringify(schema, null, 2)} />
        </>
      )}
      <div className="choices">
        {fields !== undefined && (
          <Button kind="primary" icon="send" type="submit" disabled={isBusy}>
            {fields.length === 0 ? "Done" : "Answer"}
          </Button>
        )}
        <Button disabled={isBusy} onClick={() => decide({ decision: "deny" })}>
          Do not answer
        </Button>
      </div>
    </form>
  );
}

function Entry({ field: { name, kind, label, hint, isRequired, choices, input, bounds }, value, onChange }: { field: Field; value: Values[string] | undefined; onChange: (value: Values[string]) => void }) {
  const about = hint !== "" && <span className="hint">{hint}</span>;
  if (kind === "boolean") {
    return (
      <label className="option">
        <input type="checkbox" checked={value === true} onChange={(event) => onChange(event.target.checked)} />
        <span>
          {label}
          {hint !== "" && <small>{hint}</small>}
        </span>
      </label>
    );
  }
  if (kind === "choices") {
    const chosen = Array.isArray(value) ? value : [];
    return (
      <fieldset>
        <legend>{label}</legend>
        {about}
        {choices.map((choice) => (
          <label key={choice.value} className="option">
            <input type="checkbox" checked={chosen.includes(choice.value)} onChange={(event) => onChange(event.target.checked ? [...chosen, choice.value] : chosen.filter((each) => each !== choice.value))} />
            <span>{choice.label}</span>
          </label>
        ))}
      </fieldset>
    );
  }
  return (
    <label>
      {label}
      {!isRequired && " (optional)"}
      {kind === "choice" ? (
        <select name={name} required={isRequired} value={String(value ?? "")} onChange={(event) => onChange(event.target.value)}>
          <option value="">{isRequired ? "Choose one" : "None"}</option>
          {choices.map((choice) => (
            <option key={choice.value} value={choice.value}>
              {choice.label}
            </option>
          ))}
        </select>
      ) : (
        <input name={name} type={input} required={isRequired} {...bounds} {...(kind === "number" && { step: "any" })} value={String(value ?? "")} onChange={(event) => onChange(event.target.value)} />
      )}
      {about}
    </label>
  );
}
