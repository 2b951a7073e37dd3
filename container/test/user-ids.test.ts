/*
 * Which conversation has which user, on values alone.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NoUserLeft, Users } from "../src/users.ts";

const BASE = 20_000;
const COUNT = 100;

describe("users", () => {
  test("are nobody's where there is no range", () => {
    const users = new Users(undefined, COUNT);
    users.keep("a", BASE);
    assert.deepEqual([users.of("a"), users.known("a")], [undefined, undefined]);
  });

  test("are one for each conversation, from the range's beginning on, and stay", () => {
    const users = new Users(BASE, COUNT);
    const [a, b, again] = ["a", "b", "a"].map((session) => users.of(session));
    assert.deepEqual([a, b, again], [{ uid: BASE, gid: BASE }, { uid: BASE + 1, gid: BASE + 1 }, a]);
    assert.deepEqual([users.known("b"), users.known("c")], [b, undefined]);
  });

  test("that are free again are the next ones, the lowest first", () => {
    const users = new Users(BASE, COUNT);
    for (const session of ["a", "b", "c", "d"]) users.of(session);
    for (const session of ["c", "b", "b", "nobody"]) users.free(session);
    assert.deepEqual(["e", "f", "g"].map((session) => users.of(session)?.uid), [BASE + 1, BASE + 2, BASE + 4]);
  });

  test("that folders belong to already are kept, where they are of the range and nobody else's", () => {
    const users = new Users(BASE, COUNT);
    users.keep("a", BASE + 1);
    users.keep("b", BASE + 1);
    users.keep("c", 0);
    users.keep("d", BASE + COUNT);
    assert.deepEqual(["a", "b", "c", "d"].map((session) => users.of(session)?.uid), [BASE + 1, BASE, BASE + 2, BASE + 3]);
  });

  test("are the least recently used conversation's to give up, of those that may", () => {
    const users = new Users(BASE, 3);
    for (const session of ["a", "b", "c", "a"]) users.of(session);
    assert.deepEqual([users.lacks("a"), users.lacks("d")], [false, true]);
    assert.equal(users.leastRecent(() => true), "b");
    assert.equal(users.leastRecent((session) => session !== "b"), "c");
    assert.equal(users.leastRecent(() => false), undefined);
    users.free("b");
    assert.equal(users.lacks("d"), false);
    assert.equal(new Users(undefined, 0).lacks("a"), false);
  });

  test("end with the range, and go on when one is free", () => {
    const users = new Users(BASE, COUNT);
    for (let n = 0; n < COUNT; n++) users.of(String(n));
    assert.throws(() => users.of("one more"), NoUserLeft);
    users.free("7");
    assert.equal(users.of("one more")?.uid, BASE + 7);
  });
});
