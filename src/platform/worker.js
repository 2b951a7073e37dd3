/*
 * What the runtime loads: the Worker's handlers and its classes of objects, each a call into Rust. Where Rust has panicked, the next
 * call starts a fresh instance and makes its object anew. It decides nothing, and stands in the way of every request: keep it short.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import * as rust from "rust";

/*
 * These names are promised by no documentation. Cargo.toml pins both crates to one version; `tests/e2e/panic.test.ts` fails if a name changes.
 *
 * `__worker_init_state()` of `worker` 0.8.7 (src/init.rs) returns the object that the crate shares with the JavaScript around it.
 * `criticalError`: the crate's panic hook sets it, and we set it after a trap. Unset, a dead instance would answer every later request.
 * `instanceId`: a number that is another one for each instance; the crate's start function and `revive` raise it. If it stayed the
 * same, an object would be called by a pointer into memory that is gone.
 */
const state = rust.__worker_init_state();

addEventListener("error", (event) => notice(event.error));

/** A trap of WASM is the end of its instance. */
function notice(error) {
  if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
}

/**
 * Makes sure that there is an instance to call.
 *
 * `__wbg_reset_state()` of wasm-bindgen 0.2.130, which dev/bindgen asks for by `reset_state_function`, instantiates the module anew and
 * drops the bindings' views of the old memory. Without it, a panic would last until the platform unloads the Worker.
 */
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
