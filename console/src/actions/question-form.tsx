/** Questions of the agent's: radio buttons, or check boxes where several answers go together, and room for one's own words. */
import { useId, useState } from "react";
import { ToolInput } from "../chat/tool-input.tsx";
import { Button } from "../ui/controls.tsx";
import { questionsOf } from "./action.ts";
import type { FormProps, Question } from "./action.ts";
import { DenyForm, MAX_MESSAGE_CHARS } from "./permission-form.tsx";

type Answer = { labels: string[]; isOwn: boolean; own: string };

const NONE: Answer = { labels: [], isOwn: false, own: "" };

export function QuestionForm({ action: { tool = "", input }, isBusy, decide }: FormProps) {
  const questions = questionsOf(input);
  const [answers, setAnswers] = useState<Record<string, Answer>>({});
  const given = questions.map((each) => [each, labelsOf(each, answers[each.question] ?? NONE)] as const);
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    decide({ decision: "answer", answers: Object.fromEntries(given.map(([{ question, isMultiple }, labels]) => [question, isMultiple ? labels : (labels[0] ?? "")])) });
  };
  return (
    <>
      {questions.length === 0 && <ToolInput name={tool} input={input} />}
      {questions.length > 0 && (
        <form onSubmit={submit}>
          {questions.map((each) => (
            <Choices key={each.question} question={each} answer={answers[each.question] ?? NONE} onChange={(answer) => setAnswers((all) => ({ ...all, [each.question]: answer }))} />
          ))}
          <div className="choices">
            <Button kind="primary" icon="send" type="submit" disabled={isBusy || given.some(([, labels]) => labels.length === 0)}>
              Answer
            </Button>
          </div>
        </form>
      )}
      <DenyForm label="Do not answer" placeholder="What should it know instead? (optional)" isBusy={isBusy} decide={decide} />
    </>
  );
}

function labelsOf({ options }: Question, { labels, isOwn, own }: Answer): string[] {
  const chosen = options.map(({ label }) => label).filter((label) => labels.includes(label));
  return (isOwn || options.length === 0) && own.trim() !== "" ? [...chosen, own.trim()] : isOwn ? [] : chosen;
}

function Choices({ question: { question, header, options, isMultiple }, answer, onChange }: { question: Question; answer: Answer; onChange: (answer: Answer) => void }) {
  const name = useId();
  const type = isMultiple ? "checkbox" : "radio";
  const choose = (label: string, isOn: boolean): void => {
    if (!isMultiple) onChange({ ...answer, labels: [label], isOwn: false });
    else onChange({ ...answer, labels: isOn ? [...answer.labels, label] : answer.labels.filter((each) => each !== label) });
  };
  return (
    <fieldset>
      <legend>
        {header !== "" && header !== question && <small>{header}</small>}
        {question}
      </legend>
      {options.map(({ label, description }) => (
        <label key={label} className="option">
          <input type={type} name={name} checked={answer.labels.includes(label)} onChange={(event) => choose(label, event.target.checked)} />
          <span>
            {label}
            {description !== "" && <small>{description}</small>}
          </span>
        </label>
      ))}
      {options.length > 0 && (
        <label className="option">
          <input type={type} name={name} checked={answer.isOwn} onChange={(event) => onChange({ ...answer, labels: isMultiple ? answer.labels : [], isOwn: event.target.checked })} />
          <span>Something else</span>
        </label>
      )}
      {(answer.isOwn || options.length === 0) && (
        <input aria-label={`Your own answer: ${question}`} autoFocus={answer.isOwn} maxLength={MAX_MESSAGE_CHARS} value={answer.own} onChange={(event) => onChange({ ...answer, own: event.target.value })} />
      )}
    </fieldset>
  );
}
