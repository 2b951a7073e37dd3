#!/usr/bin/env bash
# A walk through conversation storage on a running server with curl and jq: store, count, list, read, delete, purge, page.
# One line a check; stops at the first that fails. It deletes the conversations that it made, and the purge deletes what is due.
# BASE_URL (http://localhost:8787), ACCOUNT_ID (an account of its own) and API_KEY (sent as a bearer token) choose the server.
set -euo pipefail

readonly base_url="${BASE_URL:-http://localhost:8787}"
readonly run="purge-test-$(date +%s)-$$"
readonly account="${ACCOUNT_ID:-$run}"
# A first query may have to start a container.
readonly query_seconds=120
readonly read_seconds=30

for tool in curl jq; do
  command -v "$tool" >/dev/null || { echo "test-purge.sh needs $tool" >&2; exit 1; }
done

account_encoded=$(jq -rn --arg account "$account" '$account | @uri')
readonly account_encoded
auth=()
if [[ -n "${API_KEY:-}" ]]; then auth=(-H "Authorization: Bearer ${API_KEY}"); fi

fail() {
  echo "FAIL  $1" >&2
  echo "      got: $2" >&2
  exit 1
}

# check WHAT FILTER JSON [JQ-ARGUMENT…]: passes where the jq filter says true.
check() {
  local what="$1" filter="$2" json="$3"
  shift 3
  jq -e "$@" "$filter" >/dev/null 2>&1 <<<"$json" || fail "$what" "$json"
  echo "ok    $what"
}

# call METHOD PATH [CURL-ARGUMENT…]: the body; the account is named in the query string.
call() {
  local method="$1" path="$2" separator='?'
  shift 2
  if [[ "$path" == *'?'* ]]; then separator='&'; fi
  curl -sS --max-time "$read_seconds" -X "$method" ${auth[@]+"${auth[@]}"} "$@" \
    "${base_url}${path}${separator}accountId=${account_encoded}" 2>&1 || true
}

# ask PROMPT [SESSION_ID]: the answer to a query.
ask() {
  local body
  body=$(jq -n --arg query "$1" --arg account "$account" --arg session "${2:-}" \
    '{query: $query, accountId: $account} + if $session == "" then {} else {session_id: $session} end')
  curl -sS --max-time "$query_seconds" ${auth[@]+"${auth[@]}"} -H 'Content-Type: application/json' -d "$body" "${base_url}/query" 2>&1 || true
}

# The script ends with the server as it was, but for what was due.
made=()
forget() { for id in ${made[@]+"${made[@]}"}; do call DELETE "/conversations/${id}" >/dev/null; done; }
trap forget EXIT

health=$(call GET /health)
check "the service at ${base_url} is healthy" '.status == "healthy"' "$health"

before=$(call GET /storage-stats)
check 'there are statistics' '.total_conversations >= 0 and .retention_policy_days > 0' "$before"

readonly named="${run}-named"
first=$(ask 'What is 2+2?')
check 'a query without an id starts a conversation under a new one' '.success == true and (.session_id | startswith("session_"))' "$first"
unnamed=$(jq -r .session_id <<<"$first")
made+=("$unnamed")
second=$(ask 'What is 3+3?' "$named")
made+=("$named")
check 'a query with an id starts a conversation under that id' '.success == true and .session_id == $id' "$second" --arg id "$named"

stats=$(call GET /storage-stats)
check 'two conversations more are counted' '.total_conversations == $before.total_conversations + 2' "$stats" --argjson before "$before"
check 'and their four messages' '.total_messages == $before.total_messages + 4' "$stats" --argjson before "$before"
check 'the oldest has an age in days' '.oldest_conversation_age_days >= 0' "$stats"

list=$(call GET /conversations)
check 'the list has them, newest first' '[.[:2][].session_id] == [$named, $unnamed]' "$list" --arg named "$named" --arg unnamed "$unnamed"
check 'the list tells how many messages each has' 'all(.[:2][]; .metadata.message_count == 2)' "$list"

conversation=$(call GET "/conversations/${named}")
check 'one conversation holds what was said' '[.messages[] | .role] == ["user", "assistant"] and .messages[0].content == "What is 3+3?"' "$conversation"
check 'and whose it is' '.account_id == $account and .session_id == $id' "$conversation" --arg account "$account" --arg id "$named"

check 'a conversation is deleted' '.success == true' "$(call DELETE "/conversations/${named}")"
check 'a deleted conversation is not found' '.error == "Not found" and .status == 404' "$(call GET "/conversations/${named}")"
check 'deleting it again is no error' '.success == true' "$(call DELETE "/conversations/${named}")"

before_purge=$(call GET /storage-stats)
purged=$(call POST /purge)
check 'a purge deletes what is due, without an error' '.deleted == $before.conversations_ready_to_purge and .errors == 0' "$purged" --argjson before "$before_purge"
after_purge=$(call GET /storage-stats)
check 'nothing else is gone' '.total_conversations == $before.total_conversations - $purged.deleted and .conversations_ready_to_purge == 0' \
  "$after_purge" --argjson before "$before_purge" --argjson purged "$purged"
check 'a new conversation survives a purge' '.session_id == $id' "$(call GET "/conversations/${unnamed}")" --arg id "$unnamed"

expected='[]'
for n in 1 2 3 4 5; do
  id="${run}-${n}"
  made+=("$id")
  check "conversation ${n} of 5" '.success == true' "$(ask "What is ${n}+${n}?" "$id")"
  expected=$(jq -c --arg id "$id" '[$id] + .' <<<"$expected")
done
pages='[]'
for offset in 0 2 4; do
  page=$(call GET "/conversations?limit=2&offset=${offset}")
  check "the page at offset ${offset} has at most two" 'length >= 1 and length <= 2' "$page"
  pages=$(jq -c --argjson page "$page" '. + [$page[].session_id]' <<<"$pages")
done
check 'the pages hold all five in order, none twice' '.[:5] == $expected' "$pages" --argjson expected "$expected"
check 'a page beyond the end is empty' '. == []' "$(call GET '/conversations?limit=2&offset=1000000')"
link=$(call GET '/conversations?limit=2' -D - -o /dev/null | tr -d '\r' | sed -n 's/^[Ll]ink: <\(.*\)>; rel="next"$/\1/p')
[[ -n "$link" ]] || fail 'a page says where the next one is' 'no Link header'
next=$(curl -sS --max-time "$read_seconds" ${auth[@]+"${auth[@]}"} "${base_url}${link}" 2>&1 || true)
check 'and its link leads there' '[.[].session_id] == $expected[2:4]' "$next" --argjson expected "$expected"

echo "passed: ${base_url}, account ${account}"
