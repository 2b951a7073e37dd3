/** Looks into a file: text and pictures, within bounds. Nothing of it is run. */
import { useEffect, useState } from "react";
import { CodeBlock } from "../chat/code-block.tsx";
import { Markdown } from "../chat/markdown.tsx";
import { languageOf } from "../chat/tool-input.tsx";
import { Button, Dialog, Failure, Spinner } from "../ui/controls.tsx";
import { bytes } from "../ui/format.ts";
import { textOf } from "./changes.ts";
import type { Files } from "./use-files.ts";

const MAX_TEXT_BYTES = 256 * 1024;
const MAX_PICTURE_BYTES = 20 * 1024 * 1024;
/** Types that a browser shows as a picture and that can hold no program when they are shown as one. */
const PICTURES: Record<string, string> = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp", avif: "image/avif", svg: "image/svg+xml" };

type Content = { kind: "loading" } | { kind: "failed"; error: unknown } | { kind: "text"; text: string } | { kind: "picture"; url: string } | { kind: "none"; why: string };

export function Preview({ path, files }: { path: string; files: Files }) {
  const [error, setError] = useState<unknown>();
  const content = useContent(path, files);
  const language = languageOf(path);
  return (
    <Dialog wide title={path} onClose={() => files.open(undefined)}>
      <div className="preview">
        {content.kind === "loading" && <Spinner label="Loading the file" />}
        {content.kind === "failed" && <Failure error={content.error} />}
        {content.kind === "picture" && <img src={content.url} alt={path} />}
        {content.kind === "text" && (language === "md" ? <Markdown text={content.text} /> : <CodeBlock text={content.text} language={language} />)}
        {content.kind === "none" && <p>{content.why}</p>}
      </div>
      {error !== undefined && <Failure error={error} />}
      <footer>
        <Button kind="primary" icon="download" onClick={() => void files.download(path).catch(setError)}>
          Download
        </Button>
      </footer>
    </Dialog>
  );
}

function useContent(path: string, { all, read }: Files): Content {
  const [content, setContent] = useState<Content>({ kind: "loading" });
  const size = all.find((file) => file.path === path)?.size;
  useEffect(() => {
    const abort = new AbortController();
    let url: string | undefined;
    const picture = PICTURES[languageOf(path) ?? ""];
    const most = picture === undefined ? MAX_TEXT_BYTES : MAX_PICTURE_BYTES;
    const load = async (): Promise<Content> => {
      if (size !== undefined && size > most) return { kind: "none", why: `With ${bytes(size)}, it is too large to look into here.` };
      const data = await (await read(path, abort.signal)).arrayBuffer();
      if (data.byteLength > most) return { kind: "none", why: `With ${bytes(data.byteLength)}, it is too large to look into here.` };
      if (picture !== undefined) {
        url = URL.createObjectURL(new Blob([data], { type: picture }));
        return { kind: "picture", url };
      }
      const text = textOf(data);
      return text === undefined ? { kind: "none", why: "It is neither text nor a picture." } : { kind: "text", text };
    };
    load().then(
      (loaded) => void (abort.signal.aborted ? undefined : setContent(loaded)),
      (error: unknown) => void (abort.signal.aborted ? undefined : setContent({ kind: "failed", error })),
    );
    return () => {
      abort.abort();
      if (url !== undefined) URL.revokeObjectURL(url);
    };
    // A list that is read again is no reason to read the file again.
  }, [path]);
  return content;
}
