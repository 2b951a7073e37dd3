/*
 * Runs the stand-in from the command line: `node dev/model/main.ts [--port N]`.
 * Says where it listens in one line and stops on SIGINT or SIGTERM.
 */
import { parseArgs } from "node:util";
import { startModel } from "./server.ts";

const { values } = parseArgs({ options: { port: { type: "string", default: "0" } } });
const model = await startModel({ port: Number(values.port) });
console.log(`model stand-in listening on ${model.url}`);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void model.close());
}
