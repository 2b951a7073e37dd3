"""Keeps a run in one account and few conversations: each account is a container, each conversation a process of the Claude Agent SDK."""

import hashlib
import re
import unicodedata

import schemathesis
from schemathesis.generation.meta import TestPhase

ACCOUNT = "schemathesis"
SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
CONVERSATIONS = ("one", "two", "three")


def names_an_account(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 128 and all(unicodedata.category(c) != "Cc" for c in value)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Replaces valid names by those of the run, so that URL and body agree; what is invalid stays as it is."""
    query = case.query
    if isinstance(query, dict) and names_an_account(query.get("accountId", ACCOUNT)):
        query["accountId"] = ACCOUNT
    body = case.body
    if not isinstance(body, dict):
        return
    if names_an_account(body.get("accountId")):
        body["accountId"] = ACCOUNT
    is_stateful = case.meta.phase.name is TestPhase.STATEFUL
    if is_stateful and body.get("stream") is True:
        # A link leads on from a document, which events are not; the other phases ask for both.
        body["stream"] = False
    tools = body.get("tools")
    if isinstance(tools, list) and all(isinstance(tool, dict) and isinstance(tool.get("name"), str) for tool in tools):
        # That a name is given once, no schema can say.
        body["tools"] = list({tool["name"]: tool for tool in tools}.values())
        for tool in body["tools"]:
            if isinstance(tool.get("input_schema"), dict):
                # Which schema is usable, only a validator of schemas says.
                tool["input_schema"] = {"type": "object"}
    if case.operation.path != "/query":
        return
    if isinstance(body.get("output_schema"), dict):
        # Which schema is usable, only a validator of schemas says; and the stand-in of the model answers in words.
        body["output_schema"] = None
    # A name that was deleted stays unused, which a link could not know.
    if not is_stateful and isinstance(body.get("session_id"), str) and SESSION_ID.fullmatch(body["session_id"]):
        digest = hashlib.sha256(body["session_id"].encode()).digest()
        body["session_id"] = CONVERSATIONS[digest[0] % len(CONVERSATIONS)]
