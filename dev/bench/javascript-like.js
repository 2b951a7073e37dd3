/**
 * The like of the product's reads as a plain JavaScript worker answers them: the same bytes and headers, the same way through an
 * object, a list that SQLite makes. It does nothing else.
 */
import { DurableObject } from "cloudflare:workers";

const JSON_INIT = { headers: { "content-type": "application/json", "cache-control": "no-store" } };
const LIST = `select cast(json_group_array(json_object('session_id', session_id, 'title', title, 'created_at', created_at,
  'last_accessed_at', last_accessed_at, 'metadata', json(metadata))) as blob)
  from (select * from conversations order by last_accessed_at desc, session_id desc limit ?)`;

export class Account extends DurableObject {
  constructor(state, env) {
    super(state, env);
    this.sql = state.storage.sql;
    this.sql.exec("create table if not exists conversations (session_id text primary key, title, created_at, last_accessed_at, metadata) without rowid");
    this.sql.exec("create index if not exists by_access on conversations (last_accessed_at, session_id)");
    for (let n = 0; n < 100; n++) {
      const id = `session_${String(n).padStart(12, "0")}`;
      const row = [id, `Conversation ${n} of many`, 1_750_000_000_000 + n, 1_750_000_000_000 + n, '{"message_count":2}'];
      this.sql.exec("insert or ignore into conversations values (?, ?, ?, ?, ?)", ...row);
    }
  }

  fetch(request) {
    if (!request.url.endsWith("/list")) return new Response("ok");
    return new Response(this.sql.exec(LIST, 50).raw().next().value[0], JSON_INIT);
  }
}

export default {
  fetch(request, env) {
    const path = request.url.slice(request.url.indexOf("/", "http://".length));
    if (path !== "/health") return env.ACCOUNTS.getByName("one").fetch(`http://account${path}`);
    const body = { status: "healthy", hasToken: false, hasContainer: true, hasAuth: false, timestamp: new Date().toISOString(), version: "0.1.0" };
    const headers = { ...JSON_INIT.headers, "x-request-id": `req_${crypto.randomUUID()}` };
    return new Response(JSON.stringify(body), { headers });
  },
};
