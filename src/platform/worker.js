/*
 * What the runtime loads: the Worker's handlers and its classes of objects, each a call into Rust. Where Rust has panicked, the next
 * call starts a fresh instance and makes its object anew. It decides nothing, and stands in the way of every request: keep it short.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import * as rust from "rust";

/** Shared with the `worker` crate: `instanceId` grows with every instance. */
const state = rust.__worker_init_state();

addEventListener("error", (event) => notice(event.error));

/** A trap of WASM is the end of its instance. */
function notice(error) {
  if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
}

/** Makes sure that there is an instance to call. */
function revive() {
  if (!state.criticalError) return;
  rust.__wbg_reset_state();
  state.criticalError = false;
  state.instanceId++;
}

/** A class whose objects hand on to `Rust`'s, each made anew where it belongs to an instance that is gone. */
function revivable(Rust) {
  return class {
    #arguments;
    #object;
    #instanceId;

    constructor(context, env) {
      this.#arguments = [context, env];
      this.#call((object) => object);
    }

    #call(handler) {
      try {
        revive();
        if (this.#instanceId !== state.instanceId) {
          this.#object = new Rust(...this.#arguments);
          this.#instanceId = state.instanceId;
        }
        return handler(this.#object);
      } catch (error) {
        notice(error);
        throw error;
      }
    }

    fetch(request) {
      return this.#call((object) => object.fetch(request));
    }

    alarm() {
      return this.#call((object) => object.alarm());
    }
  };
}

function call(handler, event, env, context) {
  try {
    revive();
    return handler(event, env, context);
  } catch (error) {
    notice(error);
    throw error;
  }
}

export const Account = revivable(rust.Account);
export const Directory = revivable(rust.Directory);

/** Where the containers' calls of the model arrive, and nothing else: no request of the public can name it. */
export class Gateway extends WorkerEntrypoint {
  fetch(request) {
    return call(rust.gateway, request, this.env, this.ctx);
  }
}

export default {
  fetch(request, env, context) {
    return call(rust.fetch, request, env, context);
  },

  scheduled(event, env, context) {
    return call(rust.scheduled, event, env, context);
  },
};
