/** Reads values whose shape nobody promises: what is not as it should be is empty. */
export const fieldsOf = (value: unknown): Record<string, unknown> => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {});
export const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
export const stringOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** A tool as people know it: `mcp__weather__forecast` is the tool `forecast` of the server `weather`. */
export function plainName(tool: string): string {
  const [, server, name] = /^mcp__(.+?)__(.+)$/.exec(tool) ?? [];
  return server === undefined ? tool : `${name} (${server})`;
}
