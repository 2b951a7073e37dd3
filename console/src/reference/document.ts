/** openapi.json as the page of the API needs it, and a request that somebody has filled in as a line of curl. Pure. */

export type Parameter = { name: string; in: "path" | "query" | "header"; required?: boolean; description?: string };
export type Media = { schema?: unknown; examples?: Record<string, { value: unknown }> };
export type Operation = {
  operationId: string;
  summary: string;
  description?: string;
  tags: string[];
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Record<string, Media> };
  responses: Record<string, { description: string; content?: Record<string, Media> }>;
};
export type OpenApi = { tags: { name: string; description: string }[]; paths: Record<string, Record<string, Operation>> };

export type Entry = { method: string; path: string; operation: Operation };

export type Filled = {
  method: string;
  /** With the values in it. */
  path: string;
  headers: [name: string, value: string][];
  body: string | undefined;
};

export function entries({ paths }: OpenApi): Entry[] {
  return Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })));
}

/** The first example of a body that is JSON, as it is shown. */
export function exampleBody({ requestBody }: Operation): string {
  const [example] = Object.values(requestBody?.content["application/json"]?.examples ?? {});
  return example === undefined ? "" : JSON.stringify(example.value, null, 2);
}

export const sendsJson = ({ requestBody }: Operation): boolean => requestBody?.content["application/json"] !== undefined;
export const sendsBytes = ({ requestBody }: Operation): boolean => requestBody !== undefined && !sendsJson({ requestBody } as Operation);
export const streams = ({ responses }: Operation): boolean => Object.values(responses).some(({ content }) => content?.["text/event-stream"] !== undefined);

/** `values` are by place and name, as `query limit`. */
export function fill({ method, path, operation }: Entry, values: Record<string, string>, body: string): Filled {
  const given = (place: Parameter["in"]): [string, string][] =>
    (operation.parameters ?? []).filter((parameter) => parameter.in === place).flatMap(({ name }) => (values[key(place, name)] ? [[name, values[key(place, name)] ?? ""] as [string, string]] : []));
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[key("path", name)] ?? "";
    // A path of a file has segments of its own.
    return name === "path" ? value.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value);
  });
  const query = given("query").map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  const hasBody = operation.requestBody !== undefined && body.trim() !== "";
  const headers = given("header");
  if (hasBody && sendsJson(operation)) headers.push(["content-type", "application/json"]);
  return { method, path: filled + (query.length > 0 ? `?${query.join("&")}` : ""), headers, body: hasBody ? body : undefined };
}

export const key = (place: Parameter["in"], name: string): string => `${place} ${name}`;

/** A command for a POSIX shell. The credential is not in it: it would end up in the shell's history. */
export function curl(origin: string, { method, path, headers, body }: Filled, needsCredential: boolean): string {
  const lines = [`curl -sS ${method === "GET" ? "" : `-X ${method} `}${quoted(origin + path)}`];
  if (needsCredential) lines.push('-H "authorization: Bearer $TOKEN"');
  for (const [name, value] of headers) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body !== undefined) lines.push(`--data-binary ${quoted(compact(body))}`);
  return lines.join(" \\\n  ");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function compact(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body));
  } catch {
    return body;
  }
}
