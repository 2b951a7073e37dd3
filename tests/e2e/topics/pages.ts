/*
 * The list of conversations page by page, while others come, go and are touched; and the search.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { Client, json, newAccountId, problem } from "../client.ts";
import type { Service } from "../support.ts";

export function pages(service: Service): void {
  /** The ids page by page, at most so many pages. */
  const walk = async (client: Client, start: string, most = 20): Promise<string[][]> => {
    const seen: string[][] = [];
    for (let path: string | undefined = start; path !== undefined && seen.length < most; ) {
      const page: { ids: string[]; next: string | undefined } = await client.page(path);
      seen.push(page.ids);
      path = page.next;
    }
    return seen;
  };

  describe("the list", () => {
    let client: Client;
    before(async () => {
      // An id that must be encoded wherever it stands in a URL.
      client = new Client(service.url, `${newAccountId()} Zoë & <co>; "x"`);
      for (let n = 1; n <= 6; n += 1) await client.query(`[[say ok]] ${n}`, { session_id: `c${n}` });
    });

    test("its links lead through all of it, and end", async () => {
      assert.deepEqual(await walk(client, "/conversations?limit=4"), [["c6", "c5", "c4", "c3"], ["c2", "c1"]]);
      assert.deepEqual(await walk(client, "/conversations?limit=3"), [["c6", "c5", "c4"], ["c3", "c2", "c1"]]);
    });

    test("a list that starts at an offset has links too", async () => {
      assert.deepEqual(await walk(client, "/conversations?limit=2&offset=1"), [["c5", "c4"], ["c3", "c2"], ["c1"]]);
    });

    test("a list of any length is the same list", async () => {
      const { ids } = await client.page("/conversations?limit=200");
      assert.deepEqual(ids, (await client.page()).ids);
    });

    test("a cursor stays right while conversations are added, touched and deleted", async () => {
      const first = await client.page("/conversations?limit=2");
      assert.deepEqual(first.ids, ["c6", "c5"]);
      await client.query("[[say ok]] new", { session_id: "c7" });
      await client.query("[[say ok]] again", { session_id: "c5" });
      await client.request("DELETE", "/conversations/c4");
      assert.ok(first.next);
      assert.deepEqual((await walk(client, first.next)).flat(), ["c3", "c2", "c1"]);
    });

    for (const cursor of ["", "x", "1.", "../..", "ffffffffffffffffff.a", "1.a b", "1-0.a"]) {
      test(`${JSON.stringify(cursor)} is no cursor`, async () => {
        const path = `/conversations?cursor=${encodeURIComponent(cursor)}`;
        const { detail } = await problem(client.request("GET", path), 400, "invalid_parameter");
        assert.match(detail, /^cursor/);
      });
    }

    test("a cursor and an offset exclude each other, and the default of the offset is none", async () => {
      await problem(client.request("GET", "/conversations?cursor=1.a&offset=1"), 400, "invalid_parameter");
      await json(await client.request("GET", "/conversations?cursor=1.a&offset=0"), 200);
    });
  });

  describe("the search", () => {
    let client: Client;
    before(async () => {
      client = service.newClient();
      await client.query("[[say They live near WATER.]] Where do capybaras live?", { session_id: "capybaras" });
      await client.query("[[say À Paris, dans une ÉCOLE.]] Où est-elle?", { session_id: "paris" });
      await client.query("[[say 100%_sure]] Really?", { session_id: "sure" });
    });

    for (const [words, found] of [
      ["capybaras", ["capybaras"]],
      ["CAPYBARAS water", ["capybaras"]],
      ["école paris", ["paris"]],
      ["OÙ", ["paris"]],
      ["100%_", ["sure"]],
      ["%", ["sure"]],
      ["live école", []],
      ["e", ["sure", "paris", "capybaras"]],
    ] as const) {
      test(`${words} finds ${JSON.stringify(found)}`, async () => {
        assert.deepEqual((await client.page(`/conversations?q=${encodeURIComponent(words)}`)).ids, found);
      });
    }

    test("it has pages, and their links hold what was searched for", async () => {
      assert.deepEqual(await walk(client, "/conversations?q=e&limit=1"), [["sure"], ["paris"], ["capybaras"]]);
      assert.deepEqual(await walk(client, "/conversations?q=%C3%A9cole&limit=1"), [["paris"]]);
    });

    for (const q of ["", " ", "a b c d e f g h i", "x".repeat(201)]) {
      test(`${JSON.stringify(q).slice(0, 20)} is no search`, async () => {
        const path = `/conversations?q=${encodeURIComponent(q)}`;
        const { detail } = await problem(client.request("GET", path), 400, "invalid_parameter");
        assert.match(detail, /^q:/);
      });
    }

    test("another account's conversations are not found", async () => {
      assert.deepEqual((await service.newClient().page("/conversations?q=capybaras")).ids, []);
    });
  });
}
