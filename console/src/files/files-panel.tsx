/** The conversation's files: drop to upload, look at them, download them, delete them. */
import { useRef, useState } from "react";
import { Button, Confirm, Failure, IconButton, Spinner } from "../ui/controls.tsx";
import { adviceFor } from "../ui/advice.ts";
import { bytes } from "../ui/format.ts";
import { Icon } from "../ui/icons.tsx";
import type { Files, StoredFile } from "./use-files.ts";

export function FilesPanel({ files, onClose }: { files: Files; onClose: () => void }) {
  const chooser = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  const [deleted, setDeleted] = useState<string>();
  const [error, setError] = useState<unknown>();
  const download = (path?: string): void => {
    setError(undefined);
    files.download(path).catch(setError);
  };
  return (
    <aside className={`files ${isOver ? "over" : ""}`} aria-label="Files" onDragEnter={() => setOver(true)} onDragLeave={(event) => !event.currentTarget.contains(event.relatedTarget as Node | null) && setOver(false)} onDrop={() => setOver(false)}>
      <header className="page-head">
        <h2>Files</h2>
        <div className="page-actions">
          {files.count > 0 && <IconButton icon="download" label="Download all as a ZIP archive" onClick={() => download()} />}
          <IconButton icon="upload" label="Upload files" onClick={() => chooser.current?.click()} />
          <IconButton icon="close" label="Close the files" onClick={onClose} />
        </div>
        <input ref={chooser} type="file" multiple hidden onChange={(event) => { files.upload([...(event.target.files ?? [])]); event.target.value = ""; }} />
      </header>
      <div className="files-body">
        {error !== undefined && <Failure error={error} />}
        {files.uploads.map(({ id, name, size, error: why }) => (
          <div key={id} className="uploading" role={why === undefined ? "status" : "alert"}>
            {why === undefined ? <Spinner label="uploading" /> : <Icon name="warning" size={16} />}
            <span>
              <b>{name}</b>
              <small>{why === undefined ? `uploading ${bytes(size)}` : `${adviceFor(why).title}. ${adviceFor(why).next ?? ""}`}</small>
            </span>
            {why !== undefined && <IconButton icon="close" label={`Dismiss ${name}`} size={16} onClick={() => files.dismiss(id)} />}
          </div>
        ))}
        {files.phase === "loading" && <Spinner label="Loading the files" />}
        {files.phase === "failed" && <Failure error={files.error} onRetry={files.reload} />}
        {files.phase === "ready" && files.count === 0 && (
          <button type="button" className="drop" onClick={() => chooser.current?.click()}>
            <Icon name="upload" size={26} />
            <b>Drop files here</b>
            <span>or choose them. The agent finds them in its folder, and what it makes appears here.</span>
          </button>
        )}
        <ul>
          {files.all.map((file) => (
            <Row key={file.path} file={file} onOpen={() => files.open(file.path)} onDownload={() => download(file.path)} onDelete={() => setDeleted(file.path)} />
          ))}
        </ul>
        {files.hasMore && <p className="fine">These are the first {files.count}. The archive has all.</p>}
        {files.count > 0 && <p className="fine drop-hint">Drop files here to add to them.</p>}
      </div>
      {deleted !== undefined && (
        <Confirm title="Delete this file?" action="Delete" onConfirm={() => files.remove(deleted)} onClose={() => setDeleted(undefined)}>
          <p>“{deleted}” will be gone for you and for the agent.</p>
        </Confirm>
      )}
    </aside>
  );
}

function Row({ file: { path, size }, onOpen, onDownload, onDelete }: { file: StoredFile; onOpen: () => void; onDownload: () => void; onDelete: () => void }) {
  const at = path.lastIndexOf("/") + 1;
  return (
    <li className="file-row">
      <Button className="file-name" onClick={onOpen} title={path}>
        <Icon name="file" size={16} />
        <span>
          <small>{path.slice(0, at)}</small>
          {path.slice(at)}
        </span>
        <small>{bytes(size)}</small>
      </Button>
      <IconButton icon="download" label={`Download ${path}`} size={16} onClick={onDownload} />
      <IconButton icon="trash" label={`Delete ${path}`} size={16} onClick={onDelete} />
    </li>
  );
}
