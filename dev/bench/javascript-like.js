/*
 * The like of the product's reads, as a plain JavaScript worker does them: the same way through an object, the same work in SQLite, answers
 * of the same size with the same headers. It checks nothing and knows no other route: what it costs is what the platform costs.
 */
import { DurableObject } from "cloudflare:workers";

const CONTENT = "A sentence or two, as people and models write them: neither a word nor a page. ".repeat(2);
const SCHEMA = `create table if not exists conversations (session_id text primary key, title text, created_at integer, last_accessed_at integer,
    message_count integer, listed text as (json_object('session_id', session_id, 'title', title, 'created_at', created_at,
    'last_accessed_at', last_accessed_at, 'metadata', json_object('message_count', message_count))) stored) without rowid;
  create index if not exists by_access on conversations (last_accessed_at, session_id);
  create table if not exists messages (session_id text, seq integer, turn_id text, role text, content text, timestamp integer,
    primary key (session_id, seq)) without rowid`;
const LIST = `select cast('[' || group_concat(listed) || ']' as blob) from
  (select listed from conversations order by last_accessed_at desc, session_id desc limit ?)`;
const CONVERSATION = `select cast(json_object('session_id', session_id, 'title', title, 'created_at', created_at, 'last_accessed_at', last_accessed_at,
  'metadata', json_object('message_count', message_count), 'messages', (select json_group_array(json_object('id', 'msg_' || seq,
  'turn_id', turn_id, 'role', role, 'content', content, 'timestamp', timestamp) order by seq) from messages where session_id = ?1))
  as blob) from conversations where session_id = ?1`;
const STATS = `select cast(json_object('total_conversations', 100, 'oldest', (select last_accessed_at from conversations order by last_accessed_at limit 1),
  'ready', (select count(*) from conversations where last_accessed_at < ?), 'total_messages', 208) as blob)`;

const init = (id) => ({ headers: { "content-type": "application/json", "cache-control": "no-store", "x-request-id": id } });

export class Account extends DurableObject {
  constructor(state, env) {
    super(state, env);
    this.sql = state.storage.sql;
    this.sql.exec(SCHEMA);
    for (let n = 0; n < 100; n++) {
      const [id, at, count] = [`session_${String(n).padStart(12, "0")}`, 1_750_000_000_000 - n, n === 0 ? 10 : 2];
      const insert = "insert or ignore into conversations (session_id, title, created_at, last_accessed_at, message_count) values (?, ?, ?, ?, ?)";
      this.sql.exec(insert, id, `Conversation ${n} of many`, at, at, count);
      for (let seq = 1; seq <= count; seq++) {
        this.sql.exec("insert or ignore into messages values (?, ?, ?, ?, ?, ?)", id, seq, `turn_${n}_${seq}`, "user", CONTENT, at);
      }
    }
  }

  fetch(request) {
    const [path, id] = request.url.slice("http://account".length).split("?");
    if (path === "/list") return new Response(this.#first(LIST, 50), init(id));
    if (path === "/conversation") return new Response(this.#first(CONVERSATION, "session_000000000000"), init(id));
    if (path === "/stats") return new Response(this.#first(STATS, Date.now() - 2_592_000_000), init(id));
    return new Response("ok");
  }

  #first(statement, value) {
    return [...this.sql.exec(statement, value).raw()][0][0];
  }
}

export default {
  fetch(request, env) {
    const path = request.url.slice(request.url.indexOf("/", "http://".length));
    const id = `req_${crypto.randomUUID()}`;
    if (path !== "/health") return env.ACCOUNTS.getByName("one").fetch(`http://account${path}?${id}`);
    const body = { status: "healthy", hasToken: false, hasContainer: true, hasAuth: false, timestamp: new Date().toISOString(), version: "0.1.0" };
    return new Response(JSON.stringify(body), init(id));
  },
};
