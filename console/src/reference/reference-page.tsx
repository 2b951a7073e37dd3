/** The API as openapi.json tells of it: each operation with a form that sends it and a line of curl that does the same. */
import { useEffect, useMemo, useState } from "react";
import { CodeBlock } from "../chat/code-block.tsx";
import { Markdown } from "../chat/markdown.tsx";
import { href } from "../route.ts";
import type { Session } from "../session/session.ts";
import { Failure, Spinner } from "../ui/controls.tsx";
import { entries } from "./document.ts";
import type { Entry, OpenApi } from "./document.ts";
import { TryForm } from "./try-form.tsx";

const FIRST = "query";

export default function ReferencePage({ session, operation = FIRST }: { session: Session; operation: string | undefined }) {
  const [document_, setDocument] = useState<OpenApi>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    document.title = "Try the API · Agent console";
    fetch("/openapi.json")
      .then((response) => response.json())
      .then(setDocument, setError);
  }, []);
  const all = useMemo(() => (document_ === undefined ? [] : entries(document_)), [document_]);
  const entry = all.find((each) => each.operation.operationId === operation) ?? all[0];
  return (
    <div className="page" tabIndex={0} role="region" aria-label="Try the API">
      <header className="page-head">
        <h1>Try the API</h1>
        <div className="page-actions">
          <a href="/openapi.json" target="_blank" rel="noreferrer">
            openapi.json
          </a>
        </div>
      </header>
      {error !== undefined && <div className="centre"><Failure error={error} /></div>}
      {document_ === undefined && error === undefined && <div className="centre"><Spinner label="Loading openapi.json" /></div>}
      {document_ !== undefined && entry !== undefined && (
        <div className="reference">
          <Index document={document_} all={all} current={entry.operation.operationId} />
          <Detail key={entry.operation.operationId} entry={entry} session={session} />
        </div>
      )}
    </div>
  );
}

function Index({ document: { tags }, all, current }: { document: OpenApi; all: Entry[]; current: string }) {
  return (
    <nav aria-label="Operations" tabIndex={0}>
      {tags.map(({ name }) => (
        <section key={name} aria-label={name}>
          <h2>{name}</h2>
          {all
            .filter(({ operation }) => operation.tags.includes(name))
            .map(({ method, path, operation: { operationId, summary } }) => (
              <a key={operationId} href={href.reference(operationId)} aria-current={operationId === current ? "page" : undefined} title={`${method} ${path}: ${summary}`}>
                <span className="method">{method}</span>
                <span>{words(operationId)}</span>
              </a>
            ))}
        </section>
      ))}
    </nav>
  );
}

function Detail({ entry, session }: { entry: Entry; session: Session }) {
  const { method, path, operation } = entry;
  const refusals = Object.keys(operation.responses).filter((status) => Number(status) >= 400);
  return (
    <article className="operation" aria-label={words(operation.operationId)}>
      <div>
        <h2>{words(operation.operationId)}</h2>
        <p>
          <span className="method">{method}</span> <code className="path">{path}</code>
        </p>
      </div>
      <Markdown text={[`${operation.summary}.`, operation.description ?? ""].join("\n\n")} />
      <TryForm entry={entry} session={session} />
      <p className="fine">It can refuse with {refusals.join(", ")}; each refusal is a problem document with a stable code.</p>
      <Examples entry={entry} />
    </article>
  );
}

function Examples({ entry: { operation } }: { entry: Entry }) {
  const [status, response] = Object.entries(operation.responses).find(([code]) => Number(code) < 300) ?? [];
  const [example] = Object.values(response?.content?.["application/json"]?.examples ?? {});
  if (example === undefined) return null;
  return (
    <>
      <h3>What it returns ({status})</h3>
      <CodeBlock language="json" text={JSON.stringify(example.value, null, 2)} />
    </>
  );
}

/** `listConversations` as `List conversations`. */
function words(operationId: string): string {
  const text = operationId.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
