/** Fills in an operation and sends it as it would be sent from anywhere else. */
import { useEffect, useRef, useState } from "react";
import type { FormEvent } from "react";
import { CodeBlock } from "../chat/code-block.tsx";
import type { Session } from "../session/session.ts";
import { Button, Failure } from "../ui/controls.tsx";
import { duration } from "../ui/format.ts";
import { curl, exampleBody, fill, key, sendsBytes } from "./document.ts";
import type { Entry, Filled, Parameter } from "./document.ts";

type Answer = { status: number; statusText: string; ms: number; type: string; text: string; isWhole: boolean };

/** More of a response is not shown: it would hold up the page. */
const MAX_SHOWN_CHARS = 100_000;
const EXAMPLES: Record<string, string> = { session_id: "sums", path: "in/table.csv" };

export function TryForm({ entry, session }: { entry: Entry; session: Session }) {
  const { operation } = entry;
  const [values, setValues] = useState<Record<string, string>>(() => startingValues(entry, session));
  const [body, setBody] = useState(() => (sendsBytes(operation) ? "a,b\n1,2\n" : exampleBody(operation).replace('"acme"', JSON.stringify(session.accountId))));
  const [answer, setAnswer] = useState<Answer>();
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const abort = useRef<AbortController>(undefined);
  useEffect(() => () => abort.current?.abort(), []);
  const filled = fill(entry, values, body);
  const isReady = (operation.parameters ?? []).every(({ in: place, name, required }) => required !== true || place !== "path" || (values[key(place, name)] ?? "") !== "");

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    abort.current = new AbortController();
    setBusy(true);
    setError(undefined);
    setAnswer(undefined);
    try {
      await send(filled, session.credential, abort.current.signal, setAnswer);
    } catch (reason) {
      if (!abort.current.signal.aborted) setError(reason);
    }
    setBusy(false);
  };

  return (
    <form onSubmit={(event) => void submit(event)}>
      <div className="fields">
        {(operation.parameters ?? []).map(({ in: place, name, description, required }) => (
          <label key={key(place, name)}>
            <span>
              {name} {place === "path" ? "" : <small className="hint">{place === "query" ? "in the query" : "header"}</small>}
            </span>
            <input spellCheck={false} autoComplete="off" required={required === true} value={values[key(place, name)] ?? ""} onChange={(event) => setValues({ ...values, [key(place, name)]: event.target.value })} />
            {description !== undefined && <span className="hint">{description.split(". ")[0]?.replaceAll("`", "")}</span>}
          </label>
        ))}
      </div>
      {operation.requestBody !== undefined && (
        <label>
          Body
          <textarea rows={Math.min(12, body.split("\n").length + 1)} spellCheck={false} value={body} onChange={(event) => setBody(event.target.value)} />
        </label>
      )}
      <CodeBlock wrapped language="bash" text={curl(location.origin, filled, session.credential !== undefined)} />
      {session.credential !== undefined && <p className="hint">The line takes your key or token from the variable TOKEN of your shell.</p>}
      <div className="response-head">
        <Button kind="primary" type="submit" icon="send" disabled={isBusy || !isReady}>
          Send
        </Button>
        {isBusy && <Button icon="stop" onClick={() => abort.current?.abort()}>Stop</Button>}
        {answer !== undefined && (
          <p role="status">
            <b>
              {answer.status} {answer.statusText}
            </b>{" "}
            <span className="hint">
              {answer.isWhole ? `in ${duration(answer.ms)}` : "it goes on"}, {answer.type || "without a body"}
            </span>
          </p>
        )}
      </div>
      {error !== undefined && <Failure error={error} />}
      {answer !== undefined && answer.text !== "" && <CodeBlock language={answer.type.includes("json") ? "json" : undefined} text={answer.text} />}
    </form>
  );
}

function startingValues({ operation }: Entry, session: Session): Record<string, string> {
  const first = ({ in: place, name, required }: Parameter): [string, string][] => {
    if (name === "accountId") return session.accountId === "default" && session.kind !== "key" ? [] : [[key(place, name), session.accountId]];
    return required === true && EXAMPLES[name] !== undefined ? [[key(place, name), EXAMPLES[name]]] : [];
  };
  return Object.fromEntries((operation.parameters ?? []).flatMap(first));
}

/** Sends it once, and shows what comes while it comes. */
async function send({ method, path, headers, body }: Filled, credential: string | undefined, signal: AbortSignal, onAnswer: (answer: Answer) => void): Promise<void> {
  const started = performance.now();
  const all = credential === undefined ? headers : [...headers, ["authorization", `Bearer ${credential}`] as [string, string]];
  const response = await fetch(path, { method, headers: all, signal, ...(body !== undefined && { body }) });
  const type = response.headers.get("content-type") ?? "";
  const answer = { status: response.status, statusText: response.statusText, type };
  const tell = (text: string, isWhole: boolean): void => onAnswer({ ...answer, text: pretty(text.slice(0, MAX_SHOWN_CHARS), type, isWhole), ms: performance.now() - started, isWhole });
  if (type !== "" && !/json|text|xml|csv/.test(type)) {
    const { size } = await response.blob();
    return tell(`${size.toLocaleString()} bytes`, true);
  }
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done) break;
    if (text.length < MAX_SHOWN_CHARS) text += decoder.decode(value, { stream: true });
    tell(text, false);
  }
  tell(text, true);
}

function pretty(text: string, type: string, isWhole: boolean): string {
  if (!isWhole || !type.includes("json")) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
