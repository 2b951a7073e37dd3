/*
 * The server's log: one JSON object a line on stdout.
 * Fields are ids, counts, durations and codes. Never content, never a credential.
 */

type Field = string | number | boolean | null | undefined;

export function log(event: string, fields: Record<string, Field> = {}): void {
  process.stdout.write(`${JSON.stringify({ at: new Date().toISOString(), event, ...fields })}\n`);
}

/** What a log line may say of an error: its name and the first line of its message. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return (text.split("\n", 1)[0] ?? "").slice(0, 200);
}
