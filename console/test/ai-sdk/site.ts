/** A web site of somebody else's: one page with its script, under a policy of its own. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";
import { build, stop } from "esbuild";

const HTML = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Chat</title><link rel="icon" href="data:,"><div id="root"></div><script src="/page.js"></script></html>';
const POLICY = "default-src 'none'; script-src 'self'; connect-src http://127.0.0.1:*; img-src data:";

/** The site's origin. It is there until the tests of this process have run. */
export async function serveSite(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [new URL("page.tsx", import.meta.url).pathname],
    bundle: true,
    write: false,
    format: "iife",
    target: "es2022",
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"production"' },
    alias: { "claude-agent-service-client": new URL("../../../clients/typescript/src/index.ts", import.meta.url).pathname },
    logLevel: "error",
  });
  // Its process would outlive the tests.
  await stop();
  const script = outputFiles[0]?.text ?? "";
  const server = createServer((request, response) => {
    const isScript = request.url === "/page.js";
    response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html", "content-security-policy": POLICY }).end(isScript ? script : HTML);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  after(() => void server.close(() => undefined).closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
