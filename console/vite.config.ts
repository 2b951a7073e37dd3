/** Builds the console into public/console/, which the Worker's static assets serve; in `npm run dev` here, the API is that of port 8787. */
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const API = "http://localhost:8787";

export default defineConfig({
  base: "/console/",
  plugins: [react()],
  resolve: { alias: { "claude-agent-service-client": at("../clients/typescript/src/index.ts") } },
  build: {
    target: "es2022",
    outDir: at("../public/console"),
    emptyOutDir: true,
    // It would be an inline script, which the page's policy refuses.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  server: { proxy: Object.fromEntries(["/health", "/query", "/chat", "/actions", "/usage", "/account", "/erasures", "/fleet", "/audit", "/tokens", "/export", "/import", "/conversations", "/turns", "/events", "/prewarm", "/purge", "/purge-runs", "/storage-stats", "/webhooks", "/schedules", "/openapi.json"].map((path) => [path, API])) },
});
