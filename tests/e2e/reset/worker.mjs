/*
 * The product, and a way to take the memory of one account's object, as a deployment does: a request with `x-reset-account`;
 * and one to send a command as a Worker of another version does: `x-command-account` names the object, the URL's query is the command.
 */
import product, { Account as ProductAccount, Directory, Gateway } from "../../../build/index.js";

const RESET = "x-reset-object";

export { Directory, Gateway };

export class Account extends ProductAccount {
  #context;

  constructor(context, env) {
    super(context, env);
    this.#context = context;
  }

  fetch(request) {
    if (request.headers.has(RESET)) this.#context.abort("reset");
    return super.fetch(request);
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
    const account = request.headers.get("x-reset-account");
    if (account === null) return product.fetch(request, env, context);
    const reset = env.ACCOUNTS.getByName(account).fetch("http://account/", { headers: { [RESET]: "1" } });
    return reset.then(
      () => new Response("not reset"),
      (error) => new Response(error.durableObjectReset ? "reset" : error.message),
    );
  },
};
