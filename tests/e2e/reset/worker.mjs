/*
 * The product, and a way to take the memory of one account's object, as a deployment does: a request with `x-reset-account`.
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
    const account = request.headers.get("x-reset-account");
    if (account === null) return product.fetch(request, env, context);
    const reset = env.ACCOUNTS.getByName(account).fetch("http://account/", { headers: { [RESET]: "1" } });
    return reset.then(
      () => new Response("not reset"),
      (error) => new Response(error.durableObjectReset ? "reset" : error.message),
    );
  },
};
