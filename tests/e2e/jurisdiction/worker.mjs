/*
 * The product where objects have a jurisdiction, which the local runtime lacks: here the objects within one are those whose names say so,
 * and those outside any cannot be reached.
 */
import product, { Account as ProductAccount, Directory as ProductDirectory, Gateway as ProductGateway } from "../../../build/index.js";

const namespace = (objects) => ({
  getByName() {
    throw new Error("an object outside the jurisdiction was asked for");
  },
  jurisdiction: (name) => ({ getByName: (id) => objects.getByName(id.startsWith(`${name}-`) ? id : `${name}-${id}`) }),
});
const within = (env) => ({ ...env, ACCOUNTS: namespace(env.ACCOUNTS), DIRECTORY: namespace(env.DIRECTORY) });

export class Account extends ProductAccount {
  constructor(context, env) {
    super(context, within(env));
  }
}

export class Directory extends ProductDirectory {
  constructor(context, env) {
    super(context, within(env));
  }
}

export class Gateway extends ProductGateway {
  constructor(context, env) {
    super(context, within(env));
  }
}

export default {
  fetch: (request, env, context) => product.fetch(request, within(env), context),
  scheduled: (event, env, context) => product.scheduled(event, within(env), context),
};
