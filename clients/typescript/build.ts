/** Builds dist/: one module without dependencies, and its types. `npm publish` of this directory uploads it. */
import { execFileSync } from "node:child_process";
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const HERE = import.meta.dirname;
const DIST = join(HERE, "dist");
const LICENCE = "/*! With eventsource-parser, MIT License, Copyright (c) Espen Hovlandsdal: see THIRD_PARTY_NOTICES */";

rmSync(DIST, { recursive: true, force: true });
await build({
  absWorkingDir: HERE,
  entryPoints: ["src/index.ts"],
  outfile: "dist/index.js",
  bundle: true,
  format: "esm",
  platform: "neutral",
  target: "es2022",
  minifySyntax: true,
  banner: { js: LICENCE },
  logLevel: "warning",
});
execFileSync(process.execPath, [join(HERE, "node_modules/typescript/bin/tsc"), "-p", HERE], { stdio: "inherit" });
copyFileSync(join(HERE, "node_modules/eventsource-parser/LICENSE"), join(DIST, "THIRD_PARTY_NOTICES"));
