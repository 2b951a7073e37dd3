/** What goes into a tool call: a command, a file's content, a change, or whatever JSON it is. */
import { fieldsOf } from "../shapes.ts";
import { CodeBlock } from "./code-block.tsx";

export function ToolInput({ name, input }: { name: string; input: unknown }) {
  const fields = fieldsOf(input);
  const text = (field: string): string => (typeof fields[field] === "string" ? (fields[field] as string) : "");
  if (name === "Bash" && text("command") !== "") return <CodeBlock language="bash" text={text("command")} />;
  if (name === "Write" && text("content") !== "") return <CodeBlock language={languageOf(text("file_path"))} text={text("content")} />;
  if (name === "Edit" && (text("old_string") !== "" || text("new_string") !== "")) return <Change before={text("old_string")} after={text("new_string")} />;
  if (typeof input === "string") return <CodeBlock text={input} />;
  return <CodeBlock language="json" text={JSON.stringify(input ?? {}, null, 2)} />;
}

/** What is replaced, and by what. */
function Change({ before, after }: { before: string; after: string }) {
  const lines = (text: string, sign: "-" | "+") => text.split("\n").map((line, index) => <span key={`${sign}${index}`} className={sign === "-" ? "removed" : "added"}>{`${sign} ${line}\n`}</span>);
  return (
    <pre className="change" tabIndex={0}>
      {before !== "" && lines(before, "-")}
      {after !== "" && lines(after, "+")}
    </pre>
  );
}

export function languageOf(path: string): string | undefined {
  return /\.([A-Za-z0-9]+)$/.exec(path)?.[1]?.toLowerCase();
}
