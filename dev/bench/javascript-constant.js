/** What the reads are measured beside: the least that a worker can do. */
export class Account {}
export default {
  fetch() {
    return new Response("ok");
  },
};
