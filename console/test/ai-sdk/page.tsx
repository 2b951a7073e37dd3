/** A page of somebody else's: `useChat` as its documentation has it, with an `api` and `headers`. The address's hash says what to speak to. */
import "./jitless.ts";
import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses, lastAssistantMessageIsCompleteWithToolCalls } from "ai";
import type { UIMessage } from "ai";
import { AgentError } from "claude-agent-service-client";
import { useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";

declare global {
  interface Window {
    /** What the hook holds. */
    messages: UIMessage[];
    /** What reached `onData`. */
    data: unknown[];
    /** What the last answer ended with. */
    finished: object | undefined;
  }
}

const { service = "", id = "", token = "", more = "{}" } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const headers = { authorization: `Bearer ${token}` };
window.data = [];

/** What this app's own code returns of the calls that it makes. */
const OUTPUTS: Record<string, unknown> = { find_order: { status: "shipped" }, AskUserQuestion: { answers: { "Which colour?": "Blue" } } };

const transport = new DefaultChatTransport({ api: `${service}/chat`, headers: () => headers, body: JSON.parse(more) as object });

function Page() {
  const [initial, setInitial] = useState<UIMessage[]>();
  const [error, setError] = useState<Error>();
  useEffect(() => {
    fetch(`${service}/chat/${encodeURIComponent(id)}/messages`, { headers }).then(async (response) => {
      if (response.ok) setInitial((await response.json()) as UIMessage[]);
      else setError(new Error(await response.text()));
    }, setError);
  }, []);
  if (error !== undefined) return <p role="alert">{sentence(error)}</p>;
  return initial === undefined ? <p>Loading</p> : <Chat initial={initial} />;
}

function Chat({ initial }: { initial: UIMessage[] }) {
  const { messages, status, error, sendMessage, regenerate, stop, resumeStream, addToolApprovalResponse, addToolOutput } = useChat({
    id,
    messages: initial,
    resume: true,
    transport,
    sendAutomaticallyWhen: (options) => lastAssistantMessageIsCompleteWithApprovalResponses(options) || lastAssistantMessageIsCompleteWithToolCalls(options),
    onData: (part) => window.data.push(part),
    onFinish: ({ isAbort, isDisconnect, isError, finishReason }) => void (window.finished = { isAbort, isDisconnect, isError, finishReason }),
  });
  const [text, setText] = useState("");
  const [edited, setEdited] = useState<string>();
  const files = useRef<HTMLInputElement>(null);
  window.messages = messages;
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    const chosen = files.current?.files ?? undefined;
    void sendMessage({ text, ...(chosen !== undefined && chosen.length > 0 && { files: chosen }), ...(edited !== undefined && { messageId: edited }) });
    setText("");
    setEdited(undefined);
    if (files.current !== null) files.current.value = "";
  };
  const cancel = async (): Promise<void> => {
    await fetch(`${service}/conversations/${encodeURIComponent(id)}/cancel`, { method: "POST", headers });
    await stop();
  };
  return (
    <main>
      {messages.map((message) => (
        <article key={message.id} aria-label={message.role}>
          {message.parts.map((part, index) => (
            <Part
              key={index}
              part={part}
              approve={(id, approved) => void addToolApprovalResponse({ id, approved, ...(!approved && { reason: "Not today." }) })}
              give={(tool, toolCallId) => void addToolOutput({ tool, toolCallId, output: OUTPUTS[tool] })}
            />
          ))}
          {message.role === "user" && <button onClick={() => setEdited(message.id)}>Edit</button>}
        </article>
      ))}
      {error !== undefined && <p role="alert">{sentence(error)}</p>}
      <p role="status">{status}</p>
      <form onSubmit={submit}>
        <input aria-label="Message" value={text} onChange={(event) => setText(event.target.value)} />
        <input aria-label="Files" type="file" multiple ref={files} />
        <button>Send</button>
      </form>
      <button onClick={() => void cancel()}>Cancel</button>
      <button onClick={() => void stop()}>Leave</button>
      <button onClick={() => void resumeStream()}>Resume</button>
      <button onClick={() => void regenerate()}>Regenerate</button>
    </main>
  );
}

type PartProps = { part: UIMessage["parts"][number]; approve: (id: string, approved: boolean) => void; give: (tool: string, toolCallId: string) => void };

function Part({ part, approve, give }: PartProps) {
  switch (part.type) {
    case "text":
      return <p>{part.text}</p>;
    case "reasoning":
      return <em>{part.text}</em>;
    case "dynamic-tool":
      return (
        <p>
          <code>{`${part.toolName} ${JSON.stringify(part.input)} ${part.state}`}</code>
          {part.state === "approval-requested" && (
            <>
              <button onClick={() => approve(part.approval.id, true)}>Approve</button>
              <button onClick={() => approve(part.approval.id, false)}>Deny</button>
            </>
          )}
          {part.state === "input-available" && part.providerExecuted === false && <button onClick={() => give(part.toolName, part.toolCallId)}>Give</button>}
        </p>
      );
    case "file":
      return <small>{part.filename}</small>;
    default:
      return null;
  }
}

/** The service's sentence, whether it refused the request or the answer failed later. */
function sentence(error: Error): string {
  return AgentError.of(error)?.message ?? error.message;
}

const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<Page />);
