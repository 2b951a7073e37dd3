/** What the front answers by itself: a problem for programs, and a page that waits for whoever opens a browser before the Worker is ready. */
import type { IncomingMessage, ServerResponse } from "node:http";

/** How soon to come back, in seconds. */
const RETRY_AFTER_S = 2;
const DETAIL = "The Worker is being built and started; the terminal shows how far it is.";
/** It reloads itself, so that it gives way to the page that was asked for. */
const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="${RETRY_AFTER_S}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Starting …</title>
<style>
  :root { color-scheme: light dark }
  body { display: grid; place-content: center; min-height: 100vh; margin: 0; padding: 0 1.5rem; box-sizing: border-box; background: light-dark(#fcfbf9, #181716); color: light-dark(#23211e, #ebe7e1); font: 15px/1.6 Inter, system-ui, sans-serif; text-align: center }
  h1 { margin: 0; font-size: 1.3rem; font-weight: 620 }
  p { max-width: 26rem; margin: .5rem 0 0; color: light-dark(#5f5a52, #aaa49a); text-wrap: balance }
</style>
<main><h1>Starting …</h1><p>${DETAIL} This page opens by itself when it is ready.</p></main>
`;

/** The Worker is not ready yet. */
export function starting(req: IncomingMessage, res: ServerResponse): void {
  const headers = { "retry-after": String(RETRY_AFTER_S) };
  if (req.headers.accept?.includes("text/html") !== true) return problem(res, 503, "starting", "Starting", DETAIL, headers);
  res.writeHead(503, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store", ...headers });
  res.end(PAGE);
}

export function problem(res: ServerResponse, status: number, code: string, title: string, detail: string, headers: Record<string, string> = {}): void {
  res.writeHead(status, { "content-type": "application/problem+json", "cache-control": "no-store", ...headers });
  res.end(JSON.stringify({ type: "about:blank", title, status, detail, code, error: detail }));
}
