/*
 * The built Worker in a world whose source of randomness can be made to fail: then Rust panics, as it would for a real reason.
 * A request with the header `x-randomness-fails-at: n` makes the n-th call after it fail. Nothing else is changed.
 */
import worker from "../../../build/index.js";

export { Account, Directory, Gateway } from "../../../build/index.js";

let callsLeft = 0;
const getRandomValues = crypto.getRandomValues.bind(crypto);
crypto.getRandomValues = (array) => {
  if (callsLeft > 0 && --callsLeft === 0) throw new Error("no randomness");
  return getRandomValues(array);
};

export default {
  ...worker,

  fetch(request, env, context) {
    callsLeft = Number(request.headers.get("x-randomness-fails-at") ?? callsLeft);
    return worker.fetch(request, env, context);
  },
};
