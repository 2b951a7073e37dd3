#!/usr/bin/env bash
# Smoke test of a running server with curl and jq: ./test.sh [port]
# Asks one question and checks the answer; one line a check; stops at the first that fails.
# BASE_URL names another server than localhost; API_KEY is sent as a bearer token.
set -euo pipefail

readonly port="${1:-8787}"
readonly base_url="${BASE_URL:-http://localhost:${port}}"
readonly question='What is 2+2?'
# A first query may have to start a container.
readonly query_seconds=120

for tool in curl jq; do
  command -v "$tool" >/dev/null || { echo "test.sh needs $tool" >&2; exit 1; }
done

auth=()
if [[ -n "${API_KEY:-}" ]]; then auth=(-H "Authorization: Bearer ${API_KEY}"); fi

# check WHAT FILTER JSON: passes where the jq filter says true.
check() {
  if jq -e "$2" >/dev/null 2>&1 <<<"$3"; then
    echo "ok    $1"
  else
    echo "FAIL  $1" >&2
    echo "      got: $3" >&2
    exit 1
  fi
}

if ! health=$(curl -sS --max-time 10 "${base_url}/health" 2>&1); then
  echo "FAIL  no server answers at ${base_url} (${health})" >&2
  echo "      start one with: npm run dev" >&2
  exit 1
fi
check 'the service is healthy' '.status == "healthy"' "$health"
check 'it has a credential for the model' '.hasToken == true' "$health"

answer=$(curl -sS --max-time "$query_seconds" "${base_url}/query" ${auth[@]+"${auth[@]}"} \
  -H 'Content-Type: application/json' -d "$(jq -n --arg query "$question" '{query: $query}')" 2>&1) || true
check "\"${question}\" is answered with 4" '.success == true and (.response | contains("4"))' "$answer"
check 'the answer names its conversation' '.session_id | startswith("session_")' "$answer"

echo "passed: ${base_url}"
