/*
 * The product, whose calls of its containers are counted: `x-calls-account` asks for them. And a way to take the memory of one account's object, as a deployment does: a request with `x-reset-account`;
 * one to let its storage fail from then on, as a bad deployment does, and its alarm ring: `x-fail-account`;
 * and one to send a command as a Worker of another version does: `x-command-account` names the object, the URL's query is the command.
 */
import product, { Account as ProductAccount, Directory, Gateway } from "../../../build/index.js";

const RESET = "x-reset-object";
const RING = "x-ring-object";
let fails = false;
/** By account: the calls of its container, in order, each when it is over. */
const calls = new Map();

/** An object's context whose container tells what is asked of it. */
const watched = (context) => {
  const { container } = context;
  const told = calls.get(context.id.name) ?? [];
  calls.set(context.id.name, told);
  const tell = (name) => async (...args) => {
    const answer = await container[name](...args);
    told.push(name);
    return answer;
  };
  const start = (...args) => {
    told.push("start");
    return container.start(...args);
  };
  const replaced = { start, interceptOutboundHttp: tell("interceptOutboundHttp"), setInactivityTimeout: tell("setInactivityTimeout") };
  const seen = new Proxy(container, { get: (target, name) => replaced[name] ?? own(target, name) });
  return new Proxy(context, { get: (target, name) => (name === "container" ? seen : own(target, name)) });
};

const own = (target, name) => {
  const value = target[name];
  return typeof value === "function" ? value.bind(target) : value;
};

/** An object's context whose database does nothing. */
const failing = (context) =>
  new Proxy(context, {
    get(target, name) {
      if (name === "storage") return { sql: { exec: () => { throw new Error("no database"); } }, setAlarm: (at) => target.storage.setAlarm(at) };
      return own(target, name);
    },
  });

export { Directory, Gateway };

export class Account extends ProductAccount {
  #context;

  constructor(context, env) {
    super(fails ? failing(context) : watched(context), env);
    this.#context = context;
  }

  fetch(request) {
    if (request.headers.has(RESET)) this.#context.abort("reset");
    if (request.headers.has(RING)) return this.#ring();
    return super.fetch(request);
  }

  async #ring() {
    await super.alarm();
    return new Response(String((await this.#context.storage.getAlarm()) - Date.now()));
  }
}

export default {
  ...product,
  async fetch(request, env, context) {
    const commanded = request.headers.get("x-command-account");
    if (commanded !== null) {
      const query = new URL(request.url).search;
      const sent = request.method === "POST" ? ["http://account/?", { method: "POST", body: request.body }] : [`http://account/${query}`];
      return env.ACCOUNTS.getByName(commanded).fetch(...sent);
    }
    const asked = request.headers.get("x-calls-account");
    if (asked !== null) return Response.json(calls.get(asked) ?? []);
    const failing = request.headers.get("x-fail-account");
    const account = request.headers.get("x-reset-account") ?? failing;
    if (account === null) return product.fetch(request, env, context);
    fails = failing !== null;
    const reset = env.ACCOUNTS.getByName(account).fetch("http://account/", { headers: { [RESET]: "1" } });
    if (fails) {
      await reset.catch(() => {});
      return env.ACCOUNTS.getByName(account).fetch("http://account/", { headers: { [RING]: "1" } });
    }
    return reset.then(
      () => new Response("not reset"),
      (error) => new Response(error.durableObjectReset ? "reset" : error.message),
    );
  },
};
