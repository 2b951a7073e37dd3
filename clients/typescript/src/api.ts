/**
 * The types of the API, made from public/openapi.json by `npm run client:types`: edit that document's sources, not this file.
 * Responses that refuse are left out: they are problem documents, whose codes are `ErrorCode`.
 */

export interface paths {
    "/account": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Erase an account's data; its usage and what operators have set for it stay */
        delete: operations["eraseOwnAccount"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/accounts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List accounts, shard by shard in the order of their ids
         * @description A page of a filtered list may hold fewer than `limit` accounts, even none, and still have a `Link`.
         */
        get: operations["listAccounts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/accounts/usage": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List what accounts have used in a day
         * @description Accounts that used nothing are left out. The row of an account that does not respond has an `error`, and its numbers mean nothing: read that account's usage later. (An account whose id is `usage` is read as `/accounts/%75sage`.)
         */
        get: operations["listAccountsUsage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/accounts/{account_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read an account as a whole */
        get: operations["readAccount"];
        put?: never;
        post?: never;
        /**
         * Erase an account with all of its data
         * @description With `keep_account=true`, its settings and its usage stay. If an erasure is under way already, its id is returned.
         */
        delete: operations["eraseAccount"];
        options?: never;
        head?: never;
        /**
         * Change an account's status, limits, retention or notes
         * @description Absent fields stay as they are. A suspended account can only be read: its running turns and its container end, its queue stays.
         */
        patch: operations["changeAccount"];
        trace?: never;
    };
    "/actions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List what turns of the account wait for, oldest first */
        get: operations["listActions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/actions/{action_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read an action */
        get: operations["readAction"];
        put?: never;
        /**
         * Decide an action. The first decision counts; the same again gets the same response
         * @description Responds as `POST /query` does: when the turn next ends or requires action; with `stream: true` with its events from here; with `Prefer: respond-async` at once.
         */
        post: operations["decideAction"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List requested changes to accounts and who requested them, shard by shard, newest first
         * @description Entries are kept for 400 days. Each is written before the change is carried out, which may then have been refused.
         */
        get: operations["listAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/chat": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Answer a message of the AI SDK's `useChat`
         * @description The chat is the conversation of this id. The response is a UI message stream, whose message has the turn's id. Of the messages only the last one is read; if `messageId` names it, it takes the place of the one that had this id, and what came after that is deleted. `regenerate-message` does so with the same message. If the last one is the agent's, its answers to approvals, and its outputs of calls that the client makes itself, are decisions of the turn's actions, and the response is the rest of that message.
         */
        post: operations["chat"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/chat/{session_id}/messages": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a chat as UI messages, oldest first
         * @description A conversation that does not exist has none. If there are more than 1,000 messages, or more than 1 MiB of them, the newest are returned.
         */
        get: operations["readChat"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/chat/{session_id}/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow the turn of a chat that runs or waits, as a UI message stream from its beginning
         * @description 204 if there is none.
         */
        get: operations["followChat"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/conversations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List conversations, most recently accessed first
         * @description `cursor` comes from the `Link` header of the page before and does not go together with an `offset` above 0.
         */
        get: operations["listConversations"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/conversations/{session_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a conversation with its messages
         * @description If it has more than 1,000 messages, or more than 1 MiB of them, the newest are returned and `Link: rel="prev"` leads on.
         */
        get: operations["readConversation"];
        put?: never;
        post?: never;
        /** Delete a conversation everywhere and cancel its running turn */
        delete: operations["deleteConversation"];
        options?: never;
        head?: never;
        /**
         * Change a conversation's title and metadata
         * @description Metadata is merged (RFC 7396): a key with `null` is removed.
         */
        patch: operations["updateConversation"];
        trace?: never;
    };
    "/conversations/{session_id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End a conversation's queued and running turns */
        post: operations["cancelConversation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/conversations/{session_id}/compact": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Replace a conversation's history by a summary of it, for the model alone: its messages stay
         * @description This is a turn: it is queued, answered and made idempotent like that of `POST /query`. Its `response` is empty.
         */
        post: operations["compactConversation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/conversations/{session_id}/context": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Tell how full the model's context was at the end of a conversation's last turn
         * @description What is not known is null.
         */
        get: operations["readContext"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/conversations/{session_id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow the events of a conversation's current or latest turn
         * @description With `Last-Event-ID`, the events after that one; 204 if it is the id of the turn's last event. A turn that has ended is replayed as it was live, without the pieces of text and of inputs.
         */
        get: operations["followConversation"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/conversations/{session_id}/files": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List a conversation's files, or fetch all of them as a ZIP archive (`Accept: application/zip`)
         * @description They are those of the last turn that saved some, with what was uploaded and deleted since. No container is needed.
         */
        get: operations["listFiles"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/conversations/{session_id}/files/{path}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read a file, or a range of it */
        get: operations["readFile"];
        /**
         * Upload a file. The agent finds it at its next turn
         * @description A conversation that does not exist is created. What a running turn writes to the same path is replaced.
         */
        put: operations["uploadFile"];
        post?: never;
        /**
         * Delete a file; with a `/` at the end of the path, a folder with everything in it; without a path, all files
         * @description It is gone for the agent from its next turn on.
         */
        delete: operations["deleteFiles"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/conversations/{session_id}/fork": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Make a new conversation with the history and the files that this one had at the end of a turn
         * @description Without `at`, that is its last turn. The new conversation has used nothing yet; uploads that wait for a turn are not copied.
         */
        post: operations["forkConversation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/conversations/{session_id}/rewind": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Go back to the history and the files that a conversation had at the end of a turn, or before one
         * @description What came after it is deleted. To edit a question, rewind to before its turn and ask again.
         */
        post: operations["rewindConversation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/conversations/{session_id}/turns": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List a conversation's turns, newest first
         * @description A page may hold fewer than `limit` turns, if their answers are long.
         */
        get: operations["listTurns"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/erasures/{erasure_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the receipt of an erasure
         * @description `DELETE /account` and `DELETE /accounts/{account_id}` return its id. Whoever has the id may read it.
         */
        get: operations["readErasure"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow what changes in the account
         * @description The first event is a snapshot of the account's open turns and pending actions. Events have no ids: a client that reconnects gets a new snapshot.
         */
        get: operations["followAccount"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Export an account
         * @description Lines of JSON, each a row with its `type`: the conversations with their messages, turns, items, transcripts, actions and files, then what the account has used and what is set of it. Turns that have not ended are left out. The last line is `{"type":"done"}`; a stream without it was cut, and `cursor` goes on behind its last `end`.
         */
        get: operations["export"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/fleet": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the state of all accounts together: turns, containers, versions, and how the turns of the last hour ended
         * @description It sums up what accounts report while they work, each at most once a minute.
         */
        get: operations["readFleet"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Tell whether this deployment can do its work */
        get: operations["health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/import": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Import what an export wrote
         * @description Adds to what the account has. If an id is taken, the import is refused before anything is stored; if a line is refused, what came before it stays. Usage and settings are imported for operators only. With `resume=true`, an export may be sent in parts, or again after a failure: conversations that exist already are skipped.
         */
        post: operations["import"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/prewarm": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Start the account's container ahead of a query, unless it runs already */
        post: operations["prewarm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/purge": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Delete the account's conversations that nobody has touched for `RETENTION_DAYS`, now */
        post: operations["purge"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/purge-runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the latest purge runs over all accounts, newest first */
        get: operations["listPurgeRuns"];
        put?: never;
        /** Start the purge of all accounts, as the cron does every night at 02:00 UTC */
        post: operations["startPurgeRun"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/query": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Run a turn of the agent
         * @description Responds when the turn has ended; with `stream: true` (or `Accept: text/event-stream`) with its events as they happen; with `Prefer: respond-async` at once. One of `query` and `prompt` must hold more than white space, or `content` must say or show something.
         */
        post: operations["query"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/schedules": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the account's schedules */
        get: operations["listSchedules"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/schedules/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read a schedule with its next due times */
        get: operations["readSchedule"];
        /**
         * Make a schedule, or change it
         * @description At each due time, its query runs as a turn of the account. Writing a paused schedule resumes it.
         */
        put: operations["setSchedule"];
        post?: never;
        /** Delete a schedule. Its turns stay with their conversations */
        delete: operations["deleteSchedule"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/schedules/{name}/run": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Run a schedule now, besides its due times */
        post: operations["runSchedule"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/schedules/{name}/runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the latest runs of a schedule, newest first */
        get: operations["listRuns"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/storage-stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Tell how much an account stores */
        get: operations["storageStats"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make a token that speaks for one account */
        post: operations["makeToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/turns/{turn_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read a turn in its current state; with `include=items`, also what it did */
        get: operations["readTurn"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/usage": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Tell what an account has used, by day, model or conversation
         * @description The numbers are counted at the model gateway, where the agent cannot change them. `Accept: text/csv` returns the rows as CSV. Rows by day and model outlive the conversations and are kept for `USAGE_DAYS`; rows by conversation exist only for conversations that still do.
         */
        get: operations["readUsage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/webhooks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the account's webhooks */
        get: operations["listWebhooks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/webhooks/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read a webhook */
        get: operations["readWebhook"];
        /**
         * Make a webhook, or change it
         * @description The account's events are sent to its `url` from now on, signed as Standard Webhooks says. The response has the secret if this request has set one; it is not shown again.
         */
        put: operations["setWebhook"];
        post?: never;
        /** Delete a webhook with its deliveries */
        delete: operations["deleteWebhook"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/webhooks/{name}/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the deliveries to a webhook, newest first */
        get: operations["listDeliveries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/webhooks/{name}/deliveries/{event_id}/redeliver": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Send an event to a webhook anew */
        post: operations["redeliver"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/webhooks/{name}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Send a webhook an event of the type `webhook.test` */
        post: operations["testWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description A turn that was stored and runs by itself. */
        AcceptedTurn: {
            /** @description Its conversation. */
            session_id: components["schemas"]["SessionId"];
            /** @description Where it stands. */
            status: components["schemas"]["TurnStatus"];
            /** @description The turn, for `GET /turns/{turn_id}`. */
            turn_id: components["schemas"]["TurnId"];
        };
        /** @description An account as a whole. */
        Account: {
            /** @description Its id. */
            account_id: components["schemas"]["AccountId"];
            /** @description What it stores. */
            bytes: components["schemas"]["StoredBytes"];
            /** @description Whether its container runs. */
            container: components["schemas"]["ContainerState"];
            /** @description How many conversations it has. */
            conversations: number;
            /** @description The last day on which it ran a turn. */
            last_active_day: components["schemas"]["Day"] | null;
            /** @description What it may use. */
            limits: components["schemas"]["Limits"];
            /** @description The operator's own notes. */
            metadata: {
                [key: string]: unknown;
            };
            /** @description Why it may not. */
            reason: string | null;
            /** @description How many days its conversations are kept after their last access. */
            retention_days: number;
            /** @description Those of the limits that are set for this account. */
            set_limits: components["schemas"]["LimitsOfAccount"];
            /** @description Whether it may work. */
            status: components["schemas"]["AccountStatus"];
            /** @description Turns that are queued or running. */
            turns_open: number;
            /** @description What it has used. */
            usage: components["schemas"]["UsageNow"];
        };
        /** @description A change of what an operator has set of an account. Unknown fields are ignored. */
        AccountChangeRequest: {
            /**
             * @description Limits to set. A limit of null means no limit, and `default` restores the deployment's; if `limits` itself is null, all limits of the deployment
             *     apply again.
             */
            limits?: components["schemas"]["LimitsOfAccount"] | components["schemas"]["LimitsChange"] | null;
            /**
             * @description Notes to set, and with `null` to remove; null removes all.
             * @default null
             */
            metadata?: {
                [key: string]: string | null;
            } | null;
            /** @description Why the account is suspended, shown to its users; only with the status `suspended`. */
            reason?: string | null;
            /** @description How many days its conversations are kept; null restores the deployment's retention. */
            retention_days?: number | null;
            /** @description Whether the account may work. */
            status?: components["schemas"]["AccountStatus"] | null;
        };
        /** @description an account id has 1 to 128 characters, none of them a control character */
        AccountId: string;
        /** @description The account, where it is not in the URL. Unknown fields are ignored. */
        AccountSelection: {
            /** @description Selects the account, as the URL's parameter does; they must not differ. */
            accountId?: components["schemas"]["AccountId"] | null;
        };
        /** @description Whether an account may work. */
        AccountStatus: "active" | "suspended";
        /** @description An account as the directory lists it. */
        AccountSummary: {
            /** @description Its id. */
            account_id: components["schemas"]["AccountId"];
            /**
             * @description Whether its container runs, as it told last.
             * @default unknown
             */
            container: components["schemas"]["KnownContainer"];
            /** @description When the directory first heard of it; null for an account older than this field. */
            created_at: components["schemas"]["Millis"] | null;
            /** @description The last day on which it ran a turn: the moment of that day's first query; null for one from before that was kept. */
            last_active_at: components["schemas"]["Millis"] | null;
            /** @description Whether it may work. */
            status: components["schemas"]["AccountStatus"];
        };
        /** @description What one account has used in a day. */
        AccountUsage: {
            /** @description The account. */
            account_id: components["schemas"]["AccountId"];
            /** @description Tokens written to the prompt cache. */
            cache_creation_input_tokens: number;
            /** @description Tokens read from the prompt cache. */
            cache_read_input_tokens: number;
            /** @description How long the account's container ran, in seconds; absent for a model and a conversation. */
            container_seconds?: number;
            /** @description What these calls cost, in US dollars, by `MODEL_PRICES` and the list prices. */
            cost_usd: number;
            /** @description The day. */
            day?: components["schemas"]["Day"];
            /**
             * @description Why the numbers of this row say nothing: the account did not answer. Ask it again.
             * @enum {string}
             */
            error?: "unreachable";
            /** @description Tokens sent, those from the cache left out. */
            input_tokens: number;
            /** @description The model. */
            model?: string;
            /** @description Calls of the model that were answered, as the gateway counted them. */
            model_calls: number;
            /** @description Tokens received. */
            output_tokens: number;
            /** @description What the agent itself says of the turns that it ended; not to bill from. */
            reported: components["schemas"]["Spent"];
            /** @description The conversation. */
            session_id?: components["schemas"]["SessionId"];
            /** @description What the account stored when its container last stopped in these days; absent if it did not. */
            stored_bytes?: number;
            /** @description Turns that ended after they had called the model. */
            turns: number;
        };
        /** @description An action, as it is stored and sent. */
        Action: {
            /** @description Names it. */
            action_id: components["schemas"]["ActionId"];
            /** @description When it came up. */
            created_at: components["schemas"]["Millis"];
            /** @description What was decided. */
            decision?: unknown;
            /** @description When it expires, if nobody decides. */
            expires_at: components["schemas"]["Millis"];
            /** @description The call's input. */
            input?: {
                [key: string]: unknown;
            };
            /** @description What is waited for. */
            kind: components["schemas"]["ActionKind"];
            /** @description What the user is told or asked. */
            message?: string;
            /** @description When it was decided, expired or was cancelled. */
            resolved_at?: components["schemas"]["Millis"];
            /** @description The JSON Schema of the answers that an MCP server wants. */
            schema?: unknown;
            /** @description Its conversation. */
            session_id: components["schemas"]["SessionId"];
            /** @description Where it stands. */
            status: components["schemas"]["ActionStatus"];
            /** @description The rules that `remember` would store. */
            suggestions?: unknown;
            /** @description The tool. */
            tool?: string;
            /** @description The tool call that it is about, as the events name it. */
            tool_call_id?: string;
            /** @description The turn that waits. */
            turn_id: components["schemas"]["TurnId"];
        };
        /** @description What is decided. Unknown fields are ignored. */
        ActionDecision: {
            /** @description Selects the account, as the URL's parameter does; they must not differ. */
            accountId?: components["schemas"]["AccountId"] | null;
            /** @description With `answer`: by question or by field. */
            answers?: {
                [key: string]: unknown;
            } | null;
            /** @description With `result`: a string, or `text` and `image` blocks, images in base64. */
            content?: unknown;
            /** @description `allow` or `deny` a permission or a plan; `answer` or `deny` a question or an elicitation; `result` for a call of the caller's tool. */
            decision: components["schemas"]["DecisionWord"];
            /** @description With `allow` of a permission: the input that the call runs with instead of its own. Refused where rules restrict what the tool may do. */
            input?: {
                [key: string]: unknown;
            } | null;
            /** @description With `result`: whether the tool failed. */
            is_error?: boolean | null;
            /** @description With `deny`: what the agent is told, at most 8 KiB of UTF-8. */
            message?: string | null;
            /** @description With `allow` of a permission: what the suggested rules cover runs unasked in this conversation from now on. */
            remember?: components["schemas"]["Remember"] | null;
            /** @description Whether to respond with events. Default: what `Accept` prefers. */
            stream?: boolean | null;
        };
        /** @description an action id is act_ and 32 hexadecimal digits */
        ActionId: string;
        /** @description What is waited for. */
        ActionKind: "permission" | "question" | "plan" | "elicitation" | "tool";
        /** @description `action_resolved`: the turn does not wait for this any more. */
        ActionResolvedEvent: {
            /** @description The action. */
            action_id: components["schemas"]["ActionId"];
            /** @description What was decided: `allow`, `deny`, `answer` or `result`. */
            decision?: string;
            /** @description How it stands now. */
            status: components["schemas"]["ActionStatus"];
        };
        /** @description Where an action stands. */
        ActionStatus: "pending" | "resolved" | "expired" | "cancelled";
        /** @description `attachment_removed`: the model does not take an attachment, which is not sent again. */
        AttachmentRemovedEvent: {
            /**
             * @description Its path in the conversation's files, if it has one.
             * @default null
             */
            path: string | null;
            /** @description Why. */
            reason: string;
        };
        /** @description A change. */
        AuditAction: "change_account" | "erase_account" | "import_account" | "make_token" | "start_purge_run";
        /** @description Who asked for what. */
        AuditEntry: {
            /** @description What. */
            action: components["schemas"]["AuditAction"];
            /** @description `key:<name or digest>`, `token:<account>`, or `nobody` where no credential is asked for. */
            actor: string;
            /** @description When. */
            at: components["schemas"]["Millis"];
            /** @description Its request. */
            request_id: components["schemas"]["RequestId"];
            /** @description The account that it is about; null for all of them. */
            target: components["schemas"]["AccountId"] | null;
        };
        /** @description Why turns are cancelled. Unknown fields are ignored. */
        Cancellation: {
            /** @description Selects the account, as the URL's parameter does; they must not differ. */
            accountId?: components["schemas"]["AccountId"] | null;
            /** @description Becomes part of the detail that the turns end with. */
            reason?: string | null;
        };
        /** @description What a turn did to a file. */
        Change: "added" | "modified" | "deleted";
        /** @description A file that a turn changed. */
        ChangedFile: {
            /** @description What became of it. */
            change: components["schemas"]["Change"];
            /** @description Its path. */
            path: components["schemas"]["FilePath"];
            /** @description Its size in bytes; absent for one that is gone. */
            size?: number;
        };
        /** @description a message's id has 1 to 128 visible ASCII characters */
        ChatMessageId: string;
        /** @description What the AI SDK's client sends, with what it was told to send beside it. Unknown fields are ignored. */
        ChatRequest: {
            /** @description Selects the account, as the URL's parameter does; they must not differ. */
            accountId?: components["schemas"]["AccountId"] | null;
            /** @description How much work the model puts into this turn. Default: the model's own. */
            effort?: components["schemas"]["Effort"] | null;
            /** @description The chat: the conversation of this id. One that does not exist is created. */
            id: components["schemas"]["SessionId"];
            /** @description How many times the agent may call the model in this turn; the operator can lower the maximum. */
            max_turns?: number | null;
            /** @description The message that was changed, if one was. */
            messageId?: string | null;
            /** @description The UI messages, of which the last one is read: a user's, with an id of its own, or the agent's with the user's answers. */
            messages: components["schemas"]["UiMessageSent"][];
            /**
             * @description Notes of the caller's about the turn, which come back with it.
             * @default null
             */
            metadata?: {
                [key: string]: string | null;
            } | null;
            /** @description The model of this turn, if the operator allows it. */
            model?: string | null;
            /** @description `plan`: the agent plans, and carries the plan out when it is approved. */
            permission_mode?: components["schemas"]["QueryMode"] | null;
            /** @description Rules about the agent's tools, beside the operator's. */
            permissions?: components["schemas"]["Permissions"] | null;
            /** @description Whether the agent may ask the user questions, which are parts that wait for the client's output. Default: as the operator says, else not. */
            questions?: boolean | null;
            /** @description The system prompt of this turn, if the operator allows one; at most 64 KiB of UTF-8. */
            system_prompt?: string | null;
            /** @description Whether the model thinks before it answers. Default: the model's own. */
            thinking?: components["schemas"]["Thinking"] | null;
            /** @description Tools that the client runs: a call of one is a part that waits for the client's output. */
            tools?: components["schemas"]["ClientTool"][] | null;
            /** @description Why the client asks. Default: `submit-message`. */
            trigger?: components["schemas"]["ChatTrigger"] | null;
            /** @description What happens if a turn of the conversation runs or waits. Default: `queue`. */
            when_busy?: components["schemas"]["WhenBusy"] | null;
        };
        /**
         * @description Why a chat's client asks.
         * @enum {string}
         */
        ChatTrigger: "submit-message" | "regenerate-message";
        /** @description Whether the model cites a document. */
        Citations: {
            /** @description Whether it does. */
            enabled: boolean;
        };
        /** @description A tool that the caller runs. */
        ClientTool: {
            /** @description What it does, for the model. */
            description: string;
            /** @description The JSON Schema of its input. */
            input_schema: {
                [key: string]: unknown;
            };
            /** @description Its name, for the model and for the actions. */
            name: string;
        };
        /** @description Why a history was compacted. */
        CompactedBy: "manual" | "auto";
        /** @description `compacted`: the conversation's history was replaced by a summary of it. */
        CompactedEvent: {
            /** @description What it takes now, if that is known. */
            post_tokens?: number;
            /** @description What the history took before, in tokens. */
            pre_tokens: number;
            /** @description Why. */
            trigger: components["schemas"]["CompactedBy"];
        };
        /** @description How a conversation is compacted. Unknown fields are ignored. */
        Compaction: {
            /** @description Selects the account, as the URL's parameter does; they must not differ. */
            accountId?: components["schemas"]["AccountId"] | null;
            /** @description What the summary should keep, at most 8 KiB of UTF-8. */
            instructions?: string | null;
            /** @description Whether to respond with events. Default: what `Accept` prefers. */
            stream?: boolean | null;
        };
        /** @description Whether a container runs. */
        ContainerState: "running" | "stopped";
        /** @description A content block. Unknown fields are ignored. */
        ContentBlock: {
            /** @description The words, at most 1 MiB of all blocks together. */
            text: string;
            /** @constant */
            type: "text";
        } | {
            /** @description Where its bytes are. */
            source: components["schemas"]["ImageSource"];
            /** @description Its title, which conversations tell and the model does not see. */
            title?: string | null;
            /** @constant */
            type: "image";
        } | {
            /** @description Whether the model cites it. */
            citations?: components["schemas"]["Citations"] | null;
            /** @description What the model is told about it. */
            context?: string | null;
            /** @description Where its bytes are. */
            source: components["schemas"]["DocumentSource"];
            /** @description Its title. */
            title?: string | null;
            /** @constant */
            type: "document";
        };
        /** @description A conversation; `GET /conversations/{session_id}` returns it with its messages. */
        Conversation: {
            /** @description Its account. */
            account_id: components["schemas"]["AccountId"];
            /** @description When its first turn was stored. */
            created_at: components["schemas"]["Millis"];
            /**
             * @description With `include=items`, what the turns of these messages did, by their ids. A turn that only said its answer is not there, and one that
             *     this answer has no room for is null: `GET /turns/{turn_id}?include=items` returns its items.
             */
            items?: {
                [key: string]: components["schemas"]["Item"][] | null;
            };
            /** @description When it was last read or a turn of it stored or ended. */
            last_accessed_at: components["schemas"]["Millis"];
            /** @description Its messages, oldest first. */
            messages?: components["schemas"]["Message"][];
            /** @description The caller's keys and the service's `message_count`. */
            metadata: components["schemas"]["Metadata"];
            /** @description Names it within its account. */
            session_id: components["schemas"]["SessionId"];
            /** @description Its title: the beginning of its first prompt, until it is changed. */
            title: string;
            /** @description The sum over its turns. */
            usage: components["schemas"]["Usage"];
        };
        /** @description A change of a conversation. Unknown fields are ignored. */
        ConversationChange: {
            /** @description Selects the account, as the URL's parameter does; they must not differ. */
            accountId?: components["schemas"]["AccountId"] | null;
            /**
             * @description Keys to set, and with `null` to remove; null removes all. A conversation has at most 16 keys and 37,500 bytes of metadata.
             * @default null
             */
            metadata?: {
                [key: string]: string | null;
            } | null;
            /** @description The new title. */
            title?: string | null;
        };
        /** @description How full the model's context was at the end of a conversation's last turn, in tokens. What is not known is null. */
        ConversationContext: {
            /** @description Where the agent compacts the history by itself. */
            auto_compact_at: number | null;
            /** @description What the model's context holds. */
            limit: number | null;
            /** @description What the history takes, with all that goes to the model beside it. */
            tokens: number | null;
        };
        /** @description A conversation as the list shows it. */
        ConversationSummary: {
            /** @description When its first turn was stored. */
            created_at: components["schemas"]["Millis"];
            /** @description When it was last read or a turn of it stored or ended. */
            last_accessed_at: components["schemas"]["Millis"];
            /** @description The caller's keys and the service's `message_count`. */
            metadata: components["schemas"]["Metadata"];
            /** @description Names it within its account. */
            session_id: components["schemas"]["SessionId"];
            /** @description Its title: the beginning of its first prompt, until it is changed. */
            title: string;
        };
        /** @description A day of UTC. */
        Day: string;
        /**
         * @description What is decided, in a word.
         * @enum {string}
         */
        DecisionWord: "allow" | "deny" | "answer" | "result";
        /** @description How far a delivery has come. */
        DeliveryStatus: "pending" | "delivered" | "dead";
        /** @description `delta`: a piece of the answer's text. */
        DeltaEvent: {
            /** @description The piece. */
            text: string;
        };
        /** @description Where the bytes of a document are. */
        DocumentSource: {
            /** @description The bytes. */
            data: string;
            /**
             * @description What they are.
             * @constant
             */
            media_type: "application/pdf";
            /** @constant */
            type: "base64";
        } | {
            /** @description The text, at most 1 MiB of all documents together. */
            data: string;
            /**
             * @description What it is.
             * @constant
             */
            media_type: "text/plain";
            /** @constant */
            type: "text";
        } | {
            /** @description Its path. */
            path: components["schemas"]["FilePath"];
            /** @constant */
            type: "file";
        } | {
            /** @constant */
            type: "url";
            /** @description The address, without a user name or a password. */
            url: string;
        };
        /** @description How much work the model puts into its answers. */
        Effort: "low" | "medium" | "high" | "xhigh" | "max";
        /** @description The receipt of an erasure. It holds nothing of what was erased. */
        Erasure: {
            /** @description What was erased; null before it is known. */
            counts: components["schemas"]["ErasureCounts"] | null;
            /** @description When nothing was left; null before. */
            erased_at: components["schemas"]["Millis"] | null;
            /** @description Its id. */
            erasure_id: components["schemas"]["ErasureId"];
            /** @description When it was asked for. */
            requested_at: components["schemas"]["Millis"];
            /** @description Whether it has ended. */
            status: components["schemas"]["ErasureStatus"];
        };
        /** @description An erasure that was begun. */
        ErasureBegun: {
            /** @description Names it in `GET /erasures/{erasure_id}`. */
            erasure_id: components["schemas"]["ErasureId"];
        };
        /** @description How much an erasure erased. */
        ErasureCounts: {
            /** @description Conversations. */
            conversations: number;
            /** @description Bytes of the database. */
            database_bytes: number;
            /** @description Bytes of files in the bucket. */
            files_bytes: number;
            /** @description Messages. */
            messages: number;
            /** @description Turns. */
            turns: number;
        };
        /** @description an erasure id is erasure_ and 32 hexadecimal digits */
        ErasureId: string;
        /** @description Whether an erasure has ended. */
        ErasureStatus: "pending" | "done";
        /** @description What happened. */
        EventType: "turn.completed" | "turn.failed" | "turn.cancelled" | "turn.requires_action" | "action.expired" | "budget.warning" | "budget.exhausted" | "schedule.failed" | "schedule.paused" | "account.erased" | "webhook.test";
        /** @description `conversation`: a conversation was created, changed or deleted. What its turns do comes as `turn`. */
        FeedConversation: {
            /** @description What happened to it. */
            change: components["schemas"]["FeedConversationChange"];
            /** @description The conversation. */
            session_id: components["schemas"]["SessionId"];
            /** @description Its title; absent if it is gone. */
            title?: string;
        };
        /** @description What happened to a conversation. */
        FeedConversationChange: "created" | "updated" | "deleted";
        /** @description `file`: a turn or an upload changed a file, or it was deleted. */
        FeedFile: {
            /** @description What became of it. */
            change: components["schemas"]["Change"];
            /** @description The file's path; a folder's with a `/` at its end, and empty for all files. */
            path: string;
            /** @description The conversation. */
            session_id: components["schemas"]["SessionId"];
        };
        /** @description `snapshot`: what goes on in the account; the first event. */
        FeedSnapshot: {
            /** @description What waits for somebody's decision, the oldest first. */
            actions: components["schemas"]["Action"][];
            /** @description The conversations that have a turn queued or running. */
            conversations: components["schemas"]["OpenConversation"][];
            /** @description The turns that are queued or running, in the order of the queue. */
            turns: components["schemas"]["FeedTurn"][];
        };
        /** @description `turn`: where a turn stands. */
        FeedTurn: {
            /** @description How many turns of the account run or wait before it. */
            position: number;
            /** @description Its conversation. */
            session_id: components["schemas"]["SessionId"];
            /** @description Where it stands. */
            status: components["schemas"]["TurnStatus"];
            /** @description The turn. */
            turn_id: components["schemas"]["TurnId"];
        };
        /** @description A file. */
        File: {
            /** @description Its entity tag, without quotes. */
            etag: string;
            /** @description When it was changed last. */
            modified_at: components["schemas"]["Millis"];
            /** @description Its path within the workspace. */
            path: string;
            /** @description Its size in bytes. */
            size: number;
        };
        /** @description A page of a conversation's files. */
        FileList: {
            /** @description The files, by the bytes of their paths. */
            files: components["schemas"]["File"][];
            /** @description When that version was saved. */
            saved_at: components["schemas"]["Millis"] | null;
            /** @description Why the last turn's changes are not in it; null if they are. */
            unsaved: string | null;
            /** @description Rises with each turn that changed a file; 0 if nothing was saved. */
            version: number;
        };
        /** @description a path is relative and has at most 1024 bytes; none of its segments is empty, `.` or `..`, has a control character or more than 255 bytes */
        FilePath: string;
        /** @description `GET /fleet`. */
        Fleet: {
            accounts: components["schemas"]["FleetAccounts"];
            containers: components["schemas"]["FleetContainers"];
            last_hour: components["schemas"]["FleetLastHour"];
            turns: components["schemas"]["FleetTurns"];
            /** @description Accounts by the version of the code that they run. */
            versions: {
                [key: string]: number;
            };
        };
        FleetAccounts: {
            /** @description Those of them with a turn that runs. */
            at_work: number;
            /** @description Accounts that have reported in the last two hours. */
            reporting: number;
        };
        FleetContainers: {
            /** @description Starts that failed in the last hour. */
            failed: number;
            running: number;
            starting: number;
        };
        FleetLastHour: {
            cancelled: number;
            /** @description Those that failed, were interrupted or cancelled, by their code. */
            codes: {
                [key: string]: number;
            };
            completed: number;
            /** @description The share of turns that failed or were interrupted, from 0 to 1. */
            error_rate: number;
            failed: number;
            interrupted: number;
            /** @description Turns that ended. */
            turns: number;
        };
        FleetTurns: {
            /** @description Turns that wait in the queues of their accounts. */
            queued: number;
            /** @description Turns that run. */
            running: number;
        };
        /** @description A new conversation, and the state of another that it begins with. Unknown fields are ignored. */
        Fork: {
            /** @description Selects the account, as the URL's parameter does; they must not differ. */
            accountId?: components["schemas"]["AccountId"] | null;
            /** @description The turn at whose end the conversation had that state. Default: its last one. */
            at?: components["schemas"]["TurnId"] | null;
            /** @description The new conversation's id. Default: one that the service makes. */
            session_id?: components["schemas"]["SessionId"] | null;
            /** @description The new conversation's title. Default: that of the other. */
            title?: string | null;
        };
        /** @description By what a report sums usage. */
        Group: "day" | "model" | "conversation";
        Health: {
            hasAuth: boolean;
            hasContainer: boolean;
            hasToken: boolean;
            status: string;
            timestamp: string;
            version: string;
        };
        /** @description an Idempotency-Key has 1 to 128 visible ASCII characters */
        IdempotencyKey: string;
        /** @description Where the bytes of an image are. Its type must be that of its bytes. */
        ImageSource: {
            /** @description The bytes. */
            data: string;
            /**
             * @description What they are.
             * @enum {string}
             */
            media_type: "image/png" | "image/jpeg" | "image/gif" | "image/webp";
            /** @constant */
            type: "base64";
        } | {
            /** @description Its path. */
            path: components["schemas"]["FilePath"];
            /** @constant */
            type: "file";
        } | {
            /** @constant */
            type: "url";
            /** @description The address, without a user name or a password. */
            url: string;
        };
        /** @description How many conversations an import has stored. */
        Imported: {
            /** @description How many. */
            conversations: number;
        };
        /**
         * @description What a stream tells beside the default events.
         * @enum {string}
         */
        IncludeWord: "thinking" | "tool_input" | "tool_result" | "subagents" | "usage";
        /** @description Something that a turn did: the data of an event, with its number and name. */
        Item: {
            /** @description The event's number. */
            n: number;
            /** @description The event's name; the other fields are those of its data. */
            type: components["schemas"]["ItemType"];
        };
        /**
         * @description The events that are kept.
         * @enum {string}
         */
        ItemType: "thinking" | "message" | "tool" | "usage" | "retry" | "compacted" | "attachment_removed" | "notice" | "file" | "action" | "action_resolved";
        /** @description Whether a container runs, as far as that is known. */
        KnownContainer: "running" | "stopped" | "unknown";
        /** @description A limit by its name. */
        LimitName: "usd_per_day" | "usd_per_month" | "turns_per_day" | "tokens_per_day" | "storage_bytes" | "usd_per_turn";
        /** @description What an account may use; null means no limit. */
        Limits: {
            /** @description Turns that run at once. */
            concurrency: number;
            /** @description Turns that may wait. */
            queued_turns: number;
            /** @description Bytes of the account's database and of its files. */
            storage_bytes: number | null;
            /** @description Tokens of all four kinds in a day. */
            tokens_per_day: number | null;
            /** @description Turns in a day. */
            turns_per_day: number | null;
            /** @description US dollars for calls of the model in a day of UTC. */
            usd_per_day: number | null;
            /** @description The same in a month. */
            usd_per_month: number | null;
        };
        /** @description Limits to set for an account. */
        LimitsChange: {
            /** @description Turns that run at once; null is the operator's limit. */
            concurrency?: (number | null) | "default";
            /** @description Turns that may wait; null is the operator's limit. */
            queued_turns?: (number | null) | "default";
            /** @description Bytes of the account's database and of its files. */
            storage_bytes?: (number | null) | "default";
            /** @description Tokens of all four kinds in a day. */
            tokens_per_day?: (number | null) | "default";
            /** @description Turns in a day. */
            turns_per_day?: (number | null) | "default";
            /** @description US dollars for calls of the model in a day of UTC. */
            usd_per_day?: (number | null) | "default";
            /** @description The same in a month. */
            usd_per_month?: (number | null) | "default";
        };
        /** @description What is set for one account. An absent limit is the operator's for all accounts; one that is null is none. */
        LimitsOfAccount: {
            /** @description Turns that run at once; null is the operator's limit. */
            concurrency?: number | null;
            /** @description Turns that may wait; null is the operator's limit. */
            queued_turns?: number | null;
            /** @description Bytes of the account's database and of its files. */
            storage_bytes?: number | null;
            /** @description Tokens of all four kinds in a day. */
            tokens_per_day?: number | null;
            /** @description Turns in a day. */
            turns_per_day?: number | null;
            /** @description US dollars for calls of the model in a day of UTC. */
            usd_per_day?: number | null;
            /** @description The same in a month. */
            usd_per_month?: number | null;
        };
        /** @description What an attachment is. */
        MediaType: "image/png" | "image/jpeg" | "image/gif" | "image/webp" | "application/pdf" | "text/plain";
        /** @description A message of a conversation. */
        Message: {
            /** @description The images and documents that came with it; absent if there are none. */
            attachments?: components["schemas"]["MessageAttachment"][];
            /** @description Its text. */
            content: string;
            /** @description `msg_` and its number, which rises within the conversation. */
            id: string;
            /** @description Who wrote it. */
            role: components["schemas"]["Role"];
            /** @description When it was stored. */
            timestamp: components["schemas"]["Millis"];
            /** @description The turn that it belongs to. */
            turn_id: components["schemas"]["TurnId"];
        };
        /** @description What a conversation tells of an attachment of one of its messages. */
        MessageAttachment: {
            /** @description What its bytes are; absent for a URL. */
            media_type?: components["schemas"]["MediaType"];
            /** @description Its path among the conversation's files. */
            path?: components["schemas"]["FilePath"];
            /** @description Its size in bytes; absent for a URL. */
            size?: number;
            /** @description Its title. */
            title?: string;
            /** @description Whether it is an image or a document. */
            type: components["schemas"]["SummaryKind"];
            /** @description Where the model's API fetched it. */
            url?: string;
        };
        /** @description `message`: a whole block of text, which repeats the deltas before it. */
        MessageEvent: {
            /** @description The block. */
            content: string;
            /** @description The tool call that started the subagent which says it. */
            parent?: string;
            /** @description Always `assistant`. */
            role: components["schemas"]["Role"];
        };
        /** @description A conversation's metadata: at most 16 keys of the caller's with strings of at most 512 characters, and one of the service's. */
        Metadata: {
            /** @description How many messages the conversation has. */
            message_count: number;
        } & {
            [key: string]: string;
        };
        /** @description A moment, in milliseconds since 1970-01-01T00:00:00Z. */
        Millis: number;
        /** @description What becomes of a run whose time the account slept through. */
        Missed: "skip" | "run_once";
        /** @description `notice`: something that the reader should know. */
        NoticeEvent: {
            /**
             * @description What it is about: `events_dropped` (the events from `from` to `to` are kept no more), `items_cut` (the turn did more than is stored),
             *     or another word.
             */
            code: string;
            /** @description The number of the first event that it stands for. */
            from?: number;
            /** @description A sentence. */
            message: string;
            /** @description The number of the last one. */
            to?: number;
        };
        /** @description A conversation that has a turn queued or running. */
        OpenConversation: {
            /** @description Names it. */
            session_id: components["schemas"]["SessionId"];
            /** @description Its title. */
            title: string;
            /** @description Its running turn, or the one that runs next. */
            turn: components["schemas"]["TurnId"];
        };
        /** @description `paused`: the turn waits without a process, and nothing follows until it goes on. */
        PausedEvent: {
            /** @description What it waits for. */
            actions: components["schemas"]["Action"][];
            /** @description Its conversation. */
            session_id: components["schemas"]["SessionId"];
            /** @description Always `requires_action`. */
            status: components["schemas"]["TurnStatus"];
            /** @description The turn. */
            turn_id: components["schemas"]["TurnId"];
        };
        /** @description Rules such as `Write` or `Bash(git push:*)`. */
        Permissions: {
            /** @description Calls that a person has to allow. */
            ask?: string[] | null;
            /** @description Calls that are refused. */
            deny?: string[] | null;
        };
        /** @description Whether a container is started ahead of a query. */
        Prewarming: {
            /** @description Whether this call started it; false if it runs or starts already. */
            prewarming: boolean;
        };
        /** @description The problem document, as it is sent. */
        Problem: {
            code: string;
            detail: string;
            error: string;
            /** @description How much may be used. */
            limit?: number;
            /** @description The limit that is reached. */
            limit_name?: components["schemas"]["LimitName"];
            request_id: components["schemas"]["RequestId"];
            /** @description When the count starts over; absent for limits that are not per day or month. */
            resets_at?: components["schemas"]["Millis"];
            status: number;
            title: string;
            type: string;
            /** @description How much is. */
            used?: number;
        };
        /** @description What a purge of one account deleted. */
        PurgeResult: {
            /** @description How many conversations it deleted. */
            deleted: number;
            /** @description How many steps failed: a batch that was rolled back, a copy that the container kept, a listing of the bucket. The log says which. */
            errors: number;
        };
        /** @description A run, of one shard or of all. */
        PurgeRun: {
            /** @description Accounts that were visited and deleted what they could. */
            accounts_done: number;
            /** @description Accounts that were due when it started. */
            accounts_due: number;
            /** @description Accounts that did not answer, or could not delete; the next run tries them again. */
            accounts_failed: number;
            /** @description Conversations that the visits deleted. */
            conversations_deleted: number;
            /** @description When the last account was visited; none while it goes on. */
            finished_at: components["schemas"]["Millis"] | null;
            /** @description Its id. */
            run_id: components["schemas"]["RunId"];
            /** @description When it was started. */
            started_at: components["schemas"]["Millis"];
            /** @description Who started it. */
            trigger: components["schemas"]["Trigger"];
        };
        /** @description A purge run that was started. */
        PurgeRunStarted: {
            /** @description Names it in `GET /purge-runs`. */
            run_id: components["schemas"]["RunId"];
        };
        /** @description What the user says and shows. */
        QueryContent: string | components["schemas"]["ContentBlock"][];
        /**
         * @description What a query may narrow the operator's mode to.
         * @enum {string}
         */
        QueryMode: "plan";
        /** @description A query. Unknown fields are ignored. */
        QueryRequest: {
            /** @description Selects the account, as the URL's parameter does; they must not differ. */
            accountId?: components["schemas"]["AccountId"] | null;
            /** @description What the user says and shows, in place of `query`: a string, or content blocks as the Messages API has them. */
            content?: components["schemas"]["QueryContent"] | null;
            /** @description How much work the model puts into this turn. Default: the model's own. */
            effort?: components["schemas"]["Effort"] | null;
            /** @description What a stream tells beside the default events. */
            include?: components["schemas"]["IncludeWord"][] | null;
            /** @description How many times the agent may call the model in this turn; the operator can lower the maximum. */
            max_turns?: number | null;
            /**
             * @description Notes of the caller's about the turn, which come back with it.
             * @default null
             */
            metadata?: {
                [key: string]: string | null;
            } | null;
            /** @description The model of this turn, if the operator allows it. */
            model?: string | null;
            /**
             * @description A JSON Schema (draft-07) of an object that the answer has to match, at most 32 KiB.
             * @default null
             */
            output_schema?: Record<string, unknown> | null;
            /** @description `plan`: the agent changes nothing until somebody has approved its plan, which is an action. */
            permission_mode?: components["schemas"]["QueryMode"] | null;
            /** @description Rules about the agent's tools, beside the operator's. */
            permissions?: components["schemas"]["Permissions"] | null;
            /** @description An alias for `query`, which counts if `query` is absent or holds white space alone. */
            prompt?: string | null;
            /** @description What the user says, at most 1 MiB of UTF-8. */
            query?: string | null;
            /** @description Whether the agent may ask the user questions, which are actions. Default: as the operator says, else not. */
            questions?: boolean | null;
            /** @description The conversation to go on with; one that does not exist is created. Default: a new one, whose id the service makes. */
            session_id?: components["schemas"]["SessionId"] | null;
            /** @description Whether to respond with events. Default: what `Accept` prefers. */
            stream?: boolean | null;
            /** @description The system prompt of this turn, if the operator allows one; at most 64 KiB of UTF-8. */
            system_prompt?: string | null;
            /** @description Whether the model thinks before it answers. Default: the model's own. */
            thinking?: components["schemas"]["Thinking"] | null;
            /** @description Tools that the caller runs: each call of one is an action. */
            tools?: components["schemas"]["ClientTool"][] | null;
            /** @description What happens if a turn of the conversation runs or waits. Default: `queue`. */
            when_busy?: components["schemas"]["WhenBusy"] | null;
        };
        /** @description An event that is about to be sent. */
        QueuedEvent: {
            /** @description Names it: the `webhook-id` of the delivery. */
            event_id: components["schemas"]["WebhookEventId"];
        };
        /** @description For how long a decision counts. */
        Remember: "conversation";
        /** @description a request id is req_ and 32 hexadecimal digits */
        RequestId: string;
        /** @description a name has 1 to 64 characters of A-Z a-z 0-9 . _ - and starts with a letter or digit */
        ResourceName: string;
        /** @description `retry`: the model's API failed and is asked again. */
        RetryEvent: {
            /** @description Which attempt comes next. */
            attempt: number;
            /**
             * @description How long the SDK waits before it, in milliseconds.
             * @default 0
             */
            delay_ms: number;
            /**
             * @description Whether the deltas since the last `message` are void: the model's stream broke and starts over.
             * @default false
             */
            retracted: boolean;
            /**
             * @description The model's HTTP status, if it sent one.
             * @default null
             */
            status: number | null;
        };
        /** @description The state that a conversation goes back to: one of `to` and `before`. Unknown fields are ignored. */
        Rewind: {
            /** @description Selects the account, as the URL's parameter does; they must not differ. */
            accountId?: components["schemas"]["AccountId"] | null;
            /** @description The first turn that is deleted. */
            before?: components["schemas"]["TurnId"] | null;
            /** @description The last turn that stays. */
            to?: components["schemas"]["TurnId"] | null;
        };
        /** @description Who wrote a message. */
        Role: "user" | "assistant";
        /** @description a run id is run_ and 32 hexadecimal digits */
        RunId: string;
        /** @description A schedule, as it is sent. */
        Schedule: {
            /** @description The conversation that goes on, or `new` for one with each run. */
            conversation: string;
            /** @description When it was made. */
            created_at: components["schemas"]["Millis"];
            /** @description When it is due. */
            cron: string;
            /** @description Whether it runs by itself. */
            enabled: boolean;
            /** @description Runs that failed in a row. */
            failures: number;
            /** @description What becomes of a run that was missed. */
            missed: components["schemas"]["Missed"];
            /** @description Names it within its account. */
            name: components["schemas"]["ResourceName"];
            /** @description Its next five due times; none if it is disabled or paused. */
            next_runs: components["schemas"]["Millis"][];
            /** @description What is asked of the agent, as in a query; what is not set is absent. */
            options: {
                [key: string]: unknown;
            };
            /** @description Why it is paused until it is written again: `failures`; absent if it is not. */
            paused?: string;
            /** @description What is asked. */
            query: string;
            /** @description The zone of these times. */
            timezone: string;
            /** @description When it was last written. */
            updated_at: components["schemas"]["Millis"];
        };
        /** @description A schedule as it is to be, with the options of a query. Unknown fields are ignored. */
        ScheduleRequest: {
            /** @description Selects the account, as the URL's parameter does; they must not differ. */
            accountId?: components["schemas"]["AccountId"] | null;
            /** @description The conversation that goes on, or `new` for one with each run. Default: `new`. */
            conversation?: components["schemas"]["SessionId"] | null;
            /** @description When it is due: minute, hour, day of the month, month, day of the week. */
            cron: string;
            /** @description How much work the model puts into them. */
            effort?: components["schemas"]["Effort"] | null;
            /** @description Whether it runs by itself. Default: true. */
            enabled?: boolean | null;
            /** @description How many times the agent may call the model in a turn. */
            max_turns?: number | null;
            /**
             * @description Notes of the caller's about the turns, which come back with them.
             * @default null
             */
            metadata?: {
                [key: string]: string | null;
            } | null;
            /** @description What becomes of a run whose time the account slept through. Default: `skip`. */
            missed?: components["schemas"]["Missed"] | null;
            /** @description The model of its turns, if the operator allows it. */
            model?: string | null;
            /**
             * @description A JSON Schema (draft-07) of an object that the answers have to match, at most 32 KiB.
             * @default null
             */
            output_schema?: Record<string, unknown> | null;
            /** @description `plan`: the agent changes nothing until somebody has approved its plan. */
            permission_mode?: components["schemas"]["QueryMode"] | null;
            /** @description Rules about the agent's tools, in addition to the operator's. */
            permissions?: components["schemas"]["Permissions"] | null;
            /** @description An alias for `query`, which counts if `query` is absent or holds white space alone. */
            prompt?: string | null;
            /** @description What the user says, at most 64 KiB of UTF-8. */
            query?: string | null;
            /** @description Whether the agent may ask questions, which are actions. Default: as the operator says, else not. */
            questions?: boolean | null;
            /** @description The system prompt of its turns, if the operator allows one; at most 64 KiB of UTF-8. */
            system_prompt?: string | null;
            /** @description Whether the model thinks before it answers. */
            thinking?: components["schemas"]["Thinking"] | null;
            /** @description The IANA name of the zone of these times. Default: UTC. */
            timezone?: string | null;
            /** @description Tools that the caller runs: each call of one is an action. */
            tools?: components["schemas"]["ClientTool"][] | null;
            /** @description What happens if a turn of the conversation runs or waits. Default: `queue`. */
            when_busy?: components["schemas"]["WhenBusy"] | null;
        };
        /** @description A run of a schedule. */
        ScheduleRun: {
            /** @description Why no turn was admitted: the code that a query would have got. */
            failure: string | null;
            /** @description The due time; of a run that somebody asked for, when they did. */
            scheduled_at: components["schemas"]["Millis"];
            /** @description The turn's conversation; null if it is gone. */
            session_id: components["schemas"]["SessionId"] | null;
            /** @description Where the turn stands; null if it is gone. */
            status: components["schemas"]["TurnStatus"] | null;
            /** @description Its turn; null if none was admitted. */
            turn_id: components["schemas"]["TurnId"] | null;
        };
        /** @description a session id has 1 to 128 characters of A-Z a-z 0-9 . _ : - and starts with a letter or digit */
        SessionId: string;
        /** @description Tokens of model calls and what they cost. */
        Spent: {
            /** @description Tokens written to the prompt cache. */
            cache_creation_input_tokens: number;
            /** @description Tokens read from the prompt cache. */
            cache_read_input_tokens: number;
            /** @description US dollars. */
            cost_usd: number;
            /** @description Tokens sent, those from the cache left out. */
            input_tokens: number;
            /** @description Tokens received. */
            output_tokens: number;
        };
        /** @description A run that somebody asked for. */
        StartedRun: {
            /** @description When it was asked for. */
            scheduled_at: components["schemas"]["Millis"];
            /** @description Its conversation. */
            session_id: components["schemas"]["SessionId"];
            /** @description The turn, for `GET /turns/{turn_id}`. */
            turn_id: components["schemas"]["TurnId"];
        };
        /** @description How much an account stores. */
        StorageStats: {
            /** @description How many conversations a purge would delete now. */
            conversations_ready_to_purge: number;
            /** @description The size of its database, in bytes. */
            database_bytes: number;
            /** @description Days since the last access of the one that was accessed longest ago; null if there is none. */
            oldest_conversation_age_days: number | null;
            /** @description `RETENTION_DAYS`. */
            retention_policy_days: number;
            /** @description How many conversations it has. */
            total_conversations: number;
            /** @description How many messages its conversations have. */
            total_messages: number;
        };
        /** @description What an account stores. */
        StoredBytes: {
            /** @description In its database. */
            database: number;
            /** @description In the bucket. */
            files: number;
        };
        /** @description Something is done. */
        Success: {
            /** @description How many turns `cancel` ended. */
            cancelled?: number;
            /** @description Always true. */
            success: boolean;
        };
        /** @description What an attachment is. */
        SummaryKind: "image" | "document";
        /** @description Whether the model thinks before it answers. */
        Thinking: "on" | "off";
        /** @description `thinking`: a piece of the model's thinking. */
        ThinkingEvent: {
            /** @description The tool call that started the subagent which thinks. */
            parent?: string;
            /** @description The piece. */
            text: string;
        };
        /** @description A token. */
        Token: {
            /** @description The account. */
            account_id: components["schemas"]["AccountId"];
            /** @description When it ends. */
            expires_at: components["schemas"]["Millis"];
            /** @description Sent as `Authorization: Bearer <token>`, it speaks for the account and for no other. */
            token: string;
        };
        /** @description A token to be made. Unknown fields are ignored. */
        TokenRequest: {
            /** @description The account that it speaks for; any but `default`. */
            account_id: components["schemas"]["AccountId"];
            /** @description Its life, in seconds. Default: 3600. */
            expires_in?: number | null;
        };
        /** @description `tool`: a tool call began or ended. */
        ToolEvent: {
            /** @description Names the call: the same when it starts and ends. */
            id: string;
            /**
             * @description The call's input, with `started`; its long strings are cut. If its JSON is longer than 2 KiB all the same, a string with the
             *     beginning of it.
             */
            input?: unknown;
            /** @description The tool's name. */
            name: string;
            /** @description The tool call that started the subagent which makes this one. */
            parent?: string;
            /**
             * @description With `include=tool_result`, at the end of the call: its result, a string or an array of `{type: "text", text}` and
             *     `{type: "image", media_type, bytes}`, at most 16 KiB of JSON.
             */
            result?: components["schemas"]["ToolResult"];
            /** @description `started`, `finished`, `failed`, or `denied`: the call was not permitted. */
            status: string;
            /** @description Whether the result was longer. */
            truncated?: boolean;
            /** @description With `include=tool_input`, and if `input` is cut: the input with at most 16 KiB of JSON. */
            whole_input?: unknown;
        };
        /** @description `tool_input`: a piece of a tool call's input, which comes before the `tool` event that starts the call. */
        ToolInputEvent: {
            /** @description Names the call. */
            id: string;
            /** @description The next piece of the input's JSON. */
            json: string;
            /** @description The tool call that started the subagent which makes this one. */
            parent?: string;
        };
        /** @description A tool's result, as the schema has it. */
        ToolResult: string | unknown[];
        /** @description Who started a run. */
        Trigger: "cron" | "operator";
        /** @description A turn in its current state. */
        Turn: {
            /** @description When it was stored. */
            created_at: components["schemas"]["Millis"];
            /** @description Why it did not complete, if it ended otherwise. */
            error?: components["schemas"]["Problem"];
            /** @description What became of its conversation's files; absent if there are none, or the deployment saves none. */
            files?: components["schemas"]["TurnFiles"];
            /** @description When it ended; null before. */
            finished_at: components["schemas"]["Millis"] | null;
            /** @description With `include=items`, what the turn did, once it has ended. */
            items?: components["schemas"]["Item"][];
            /** @description The caller's own notes about the turn. */
            metadata?: {
                [key: string]: string;
            };
            /** @description The value that `response` is the JSON of, if the query had an `output_schema`. */
            output?: unknown;
            /** @description The agent's answer, if it completed. */
            response?: string;
            /** @description Its conversation. */
            session_id: components["schemas"]["SessionId"];
            /** @description When the container took it; null before. */
            started_at: components["schemas"]["Millis"] | null;
            /** @description Where it stands. */
            status: components["schemas"]["TurnStatus"];
            /** @description The running turn that took this one's message in, and whose answer this one has. */
            steered_into?: components["schemas"]["TurnId"];
            /** @description Why the model stopped, if not because it had said everything (`end_turn`). */
            stop_reason?: string;
            /** @description The schedule whose run it is. */
            trigger?: components["schemas"]["TurnTrigger"];
            /** @description Names it. */
            turn_id: components["schemas"]["TurnId"];
            /** @description What it used, if it has ended and that is known. */
            usage?: components["schemas"]["TurnUsage"];
        };
        /** @description `turn`: the turn's status, when it is queued, when it runs, and first on a stream that is opened later. */
        TurnEvent: {
            /** @description How many turns of the account run or wait before it. */
            position: number;
            /** @description Its conversation. */
            session_id: components["schemas"]["SessionId"];
            /** @description Where it stands. */
            status: components["schemas"]["TurnStatus"];
            /** @description The turn. */
            turn_id: components["schemas"]["TurnId"];
        };
        /** @description What a turn tells of its files. */
        TurnFiles: {
            /**
             * @description The files that the turn changed, at most 100.
             * @default []
             */
            changed: components["schemas"]["ChangedFile"][];
            /** @description How many it changed, if that is more than are listed. */
            changed_total?: number;
            /** @description Why it was not saved. */
            reason?: components["schemas"]["Unsaved"];
            /** @description Whether that version holds everything that the turn left. */
            saved: boolean;
            /** @description How many entries of the folder cannot be saved: sockets, devices, unreadable files, names that break the rules. */
            skipped?: number;
            /** @description The version of the workspace that is stored at the turn's end; 0 if none is. */
            version: number;
        };
        /** @description a turn id is turn_ and 32 hexadecimal digits */
        TurnId: string;
        /** @description The result of a completed turn, or the state of a turn that requires action. */
        TurnResult: {
            /** @description What the turn waits for, the oldest first; absent if it has ended. */
            actions?: components["schemas"]["Action"][];
            /** @description How long the agent worked, in milliseconds. */
            duration_ms: number | null;
            /** @description What became of its conversation's files; absent if there are none, or the deployment saves none. */
            files?: components["schemas"]["TurnFiles"];
            /** @description The caller's own notes about the turn. */
            metadata?: {
                [key: string]: string;
            };
            /** @description The model that answered. */
            model: string | null;
            /** @description How many times the agent called the model. */
            num_turns: number | null;
            /** @description The value that `response` is the JSON of, if the query had an `output_schema`. */
            output?: unknown;
            /** @description The agent's answer; of a turn that requires action, what it has said so far. */
            response: string;
            /** @description The turn's conversation. */
            session_id: components["schemas"]["SessionId"];
            /** @description `requires_action`, if the turn has not ended and waits for a decision; else absent. */
            status?: components["schemas"]["TurnStatus"];
            /** @description The running turn that took this one's message in, and whose answer this one has. */
            steered_into?: components["schemas"]["TurnId"];
            /** @description Why the model stopped, if not because it had said everything (`end_turn`). */
            stop_reason?: string;
            /** @description Always true: a turn that failed is a problem document. */
            success: boolean;
            /** @description The schedule whose run it is. */
            trigger?: components["schemas"]["TurnTrigger"];
            /** @description The turn, for `GET /turns/{turn_id}`. */
            turn_id: components["schemas"]["TurnId"];
            /** @description What the turn used. */
            usage: components["schemas"]["TurnUsage"];
        };
        /** @description The state of a turn. The last four are ends, and a turn has exactly one. */
        TurnStatus: "queued" | "running" | "requires_action" | "completed" | "failed" | "cancelled" | "interrupted";
        /** @description The schedule whose run a turn is. */
        TurnTrigger: {
            /** @description The schedule's name. */
            schedule: components["schemas"]["ResourceName"];
            /** @description The due time; of a run that somebody asked for, when they did. */
            scheduled_at: components["schemas"]["Millis"];
        };
        /** @description What a turn used, and what of it each model did if there was more than one. */
        TurnUsage: {
            /** @description The same by model, if there was more than one. */
            by_model?: {
                [key: string]: components["schemas"]["Usage"];
            };
            /** @description Tokens written to the prompt cache. */
            cache_creation_input_tokens: number;
            /** @description Tokens read from the prompt cache. */
            cache_read_input_tokens: number;
            /** @description US dollars, as the SDK reckons them. */
            cost_usd: number;
            /** @description Tokens sent, those from the cache left out. */
            input_tokens: number;
            /** @description Tokens received. */
            output_tokens: number;
        };
        /** @description A UI message. */
        UiMessage: {
            /** @description Of the agent's messages, the turn's id; of the user's, what the client gave it. */
            id: string;
            /** @description Of the agent's messages, what their turn used and how it ended. */
            metadata?: components["schemas"]["UiMessageMetadata"];
            /** @description Its parts, as the AI SDK has them. */
            parts: {
                [key: string]: unknown;
            }[];
            /** @description Who wrote it. */
            role: components["schemas"]["Role"];
        };
        /** @description The metadata of a message: as much of it as is known. */
        UiMessageMetadata: {
            /** @description How long the agent worked, in milliseconds. */
            duration_ms?: number;
            /** @description Why the turn did not complete. */
            error?: components["schemas"]["Problem"];
            /** @description What became of the conversation's files. */
            files?: components["schemas"]["TurnFiles"];
            /** @description The caller's own notes about the turn. */
            metadata?: {
                [key: string]: string;
            };
            /** @description The model that answered. */
            model?: string;
            /** @description Its conversation. */
            session_id: components["schemas"]["SessionId"];
            /** @description Where it stands. */
            status: components["schemas"]["TurnStatus"];
            /** @description The turn, for `GET /turns/{turn_id}`. */
            turn_id: components["schemas"]["TurnId"];
            /** @description What the turn used. */
            usage?: components["schemas"]["TurnUsage"];
        };
        /** @description A UI message of a user, or one of the agent with answers. Unknown fields are ignored. */
        UiMessageSent: {
            /** @description The client's name for it. */
            id: components["schemas"]["ChatMessageId"];
            /** @description Of a user: words, and files as data URLs, as https URLs, or as files of the conversation. Of the agent: calls with answers. */
            parts: {
                [key: string]: unknown;
            }[];
            /** @description In the last one `user`, or `assistant` with answers. */
            role: string;
        };
        /** @description Why the files of a turn were not saved. */
        Unsaved: "storage_unavailable" | "storage_full" | "too_large" | "too_many_files" | "container_lost" | "save_timeout" | "scan_failed" | "invalid_save";
        /** @description A file that was uploaded. */
        UploadedFile: {
            /** @description Its entity tag, without quotes. */
            etag: string;
            /** @description Its path within the workspace. */
            path: string;
            /** @description Its size in bytes. */
            size: number;
        };
        /** @description Tokens and cost of one turn alone. */
        Usage: {
            /**
             * @description Tokens written to the prompt cache.
             * @default 0
             */
            cache_creation_input_tokens: number;
            /**
             * @description Tokens read from the prompt cache.
             * @default 0
             */
            cache_read_input_tokens: number;
            /**
             * @description US dollars, as the SDK reckons them.
             * @default 0
             */
            cost_usd: number;
            /**
             * @description Tokens sent, those from the cache left out.
             * @default 0
             */
            input_tokens: number;
            /**
             * @description Tokens received.
             * @default 0
             */
            output_tokens: number;
        };
        /** @description `usage`: what one call of the model used. */
        UsageEvent: {
            /** @description Tokens written to the prompt cache. */
            cache_creation_input_tokens: number;
            /** @description Tokens read from the prompt cache. */
            cache_read_input_tokens: number;
            /** @description US dollars at list prices; of a model that the service does not know, at the prices of the dearest one. */
            cost_usd: number;
            /** @description Tokens sent, those from the cache left out. */
            input_tokens: number;
            /** @description The model. */
            model: string;
            /** @description Tokens received. */
            output_tokens: number;
            /** @description The tool call that started the subagent which asked. */
            parent?: string;
        };
        /** @description What an account has used lately. */
        UsageNow: {
            /** @description In this month. */
            month: components["schemas"]["Spent"];
            /** @description In this day of UTC. */
            today: components["schemas"]["Spent"];
        };
        /** @description What an account has used. */
        UsageReport: {
            /** @description The first day. */
            from: components["schemas"]["Day"];
            /** @description By what the rows are summed. */
            group: components["schemas"]["Group"];
            /** @description A sum for each group in which something was used. */
            rows: components["schemas"]["UsageRow"][];
            /** @description The last day. */
            to: components["schemas"]["Day"];
            /** @description The sum over these days, conversations that are deleted included. */
            total: components["schemas"]["UsageRow"];
        };
        /** @description What was used in one group. */
        UsageRow: {
            /** @description Tokens written to the prompt cache. */
            cache_creation_input_tokens: number;
            /** @description Tokens read from the prompt cache. */
            cache_read_input_tokens: number;
            /** @description How long the account's container ran, in seconds; absent for a model and a conversation. */
            container_seconds?: number;
            /** @description What these calls cost, in US dollars, by `MODEL_PRICES` and the list prices. */
            cost_usd: number;
            /** @description The day. */
            day?: components["schemas"]["Day"];
            /** @description Tokens sent, those from the cache left out. */
            input_tokens: number;
            /** @description The model. */
            model?: string;
            /** @description Calls of the model that were answered, as the gateway counted them. */
            model_calls: number;
            /** @description Tokens received. */
            output_tokens: number;
            /** @description What the agent itself says of the turns that it ended; not to bill from. */
            reported: components["schemas"]["Spent"];
            /** @description The conversation. */
            session_id?: components["schemas"]["SessionId"];
            /** @description What the account stored when its container last stopped in these days; absent if it did not. */
            stored_bytes?: number;
            /** @description Turns that ended after they had called the model. */
            turns: number;
        };
        /** @description An endpoint that an account's events are sent to. */
        Webhook: {
            /** @description When it was made. */
            created_at: components["schemas"]["Millis"];
            /** @description Whether events are sent. An endpoint that answers 410 is disabled until the webhook is written again. */
            enabled: boolean;
            /** @description What is sent beside the event's ids. */
            include: components["schemas"]["WebhookInclude"][];
            /** @description Names it within its account. */
            name: components["schemas"]["ResourceName"];
            /** @description Until when deliveries are signed with the secret before this one, too; absent if they are not. */
            previous_secret_until?: components["schemas"]["Millis"];
            /** @description The secret; only in the response to the request that set it. */
            secret?: string;
            /** @description The events that are sent; all if empty. */
            types: components["schemas"]["EventType"][];
            /** @description When it was last written. */
            updated_at: components["schemas"]["Millis"];
            /** @description Where the events are sent. */
            url: string;
        };
        /** @description An event and what became of it at one webhook. */
        WebhookDelivery: {
            /** @description How often it was tried. */
            attempts: number;
            /** @description When the event happened. */
            created_at: components["schemas"]["Millis"];
            /** @description When it was delivered or given up; null before. */
            ended_at: components["schemas"]["Millis"] | null;
            /** @description The event: the `webhook-id` of each attempt. */
            event_id: components["schemas"]["WebhookEventId"];
            /** @description Why the last attempt brought no response; null if it brought one. */
            last_error: string | null;
            /** @description The status of the last response; null if there was none. */
            last_status: number | null;
            /** @description When it is tried next; null if it has ended. */
            next_attempt_at: components["schemas"]["Millis"] | null;
            /** @description The conversation that the event is about. */
            session_id: components["schemas"]["SessionId"] | null;
            /** @description How far it has come. */
            status: components["schemas"]["DeliveryStatus"];
            /** @description The turn that the event is about. */
            turn_id: components["schemas"]["TurnId"] | null;
            /** @description What happened. */
            type: components["schemas"]["EventType"];
        };
        /** @description an event id is evt_ and 32 hexadecimal digits */
        WebhookEventId: string;
        /** @description What a delivery holds beside the event itself. */
        WebhookInclude: "result";
        /** @description A webhook as it is to be. Unknown fields are ignored. */
        WebhookRequest: {
            /** @description Selects the account, as the URL's parameter does; they must not differ. */
            accountId?: components["schemas"]["AccountId"] | null;
            /** @description `result`: events of turns hold the turn as `GET /turns/{turn_id}` returns it. */
            include?: components["schemas"]["WebhookInclude"][] | null;
            /** @description Whether a new secret takes the place of the one that it has, which signs for a day more. */
            rotate_secret?: boolean | null;
            /** @description The secret that signs: `whsec_` and the base64 of 24 to 64 bytes. Default: the one that it has, or a new one. */
            secret?: string | null;
            /** @description The events that are sent. Default: all. */
            types?: components["schemas"]["EventType"][] | null;
            /** @description Where the events are sent: `https://` and a public name. */
            url: string;
        };
        /** @description What happens to a query whose conversation has a turn running. */
        WhenBusy: "queue" | "steer" | "interrupt" | "reject";
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description `bytes`. */
        "Accept-Ranges": string;
        /** @description `attachment`, with the file's name. */
        "Content-Disposition": string;
        /** @description Which bytes of the file follow, if a range was asked for; of a refused one, `bytes *\/` and the size of the file. */
        "Content-Range": string;
        /** @description `sandbox`: a browser that opens the file runs nothing of it. */
        "Content-Security-Policy": string;
        /** @description The file's entity tag. */
        ETag: string;
        /** @description `true` if an earlier request with this `Idempotency-Key` got this response first. */
        "Idempotent-Replayed": string;
        /** @description `rel="next"` or `rel="prev"`: the page that follows, if there is one (RFC 8288). */
        Link: string;
        /** @description Where the turn, or the new conversation, can be read. */
        Location: string;
        /** @description `respond-async`. */
        "Preference-Applied": string;
        /** @description What is left of the limit, and the seconds until it is counted anew, if they are known. */
        RateLimit: string;
        /** @description The limit of a day that is used up, if it counts turns or tokens. */
        "RateLimit-Policy": string;
        /** @description Seconds after which it makes sense to send the request again. */
        "Retry-After": string;
        /** @description How long the turn waited (`queue`), ran (`agent`) and took in total (`total`), in milliseconds. */
        "Server-Timing": string;
        /** @description `Bearer`. */
        "WWW-Authenticate": string;
        /** @description Names this request in the logs: `req_` and 32 characters. */
        "X-Request-Id": string;
        /** @description The `traceparent` of the request, if it had one that the specification allows. */
        traceparent: string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    eraseOwnAccount: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The erasure goes on. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErasureBegun"];
                };
            };
        };
    };
    listAccounts: {
        parameters: {
            query?: {
                /** @description Most accounts of a page. */
                limit?: number;
                /** @description Only accounts of this status. */
                status?: components["schemas"]["AccountStatus"];
                /** @description Only accounts that ran a turn since, to a day. */
                active_since?: components["schemas"]["Millis"];
                /** @description Where the page starts; from a `Link` header. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of accounts. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AccountSummary"][];
                };
            };
        };
    };
    listAccountsUsage: {
        parameters: {
            query?: {
                /** @description The day. Default: today. */
                day?: components["schemas"]["Day"];
                /** @description Most accounts of a page. */
                limit?: number;
                /** @description Where the page starts; from a `Link` header. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of accounts and what each has used. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AccountUsage"][];
                };
            };
        };
    };
    readAccount: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                account_id: components["schemas"]["AccountId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The account. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Account"];
                };
            };
        };
    };
    eraseAccount: {
        parameters: {
            query?: {
                /** @description Whether what is set of the account and what it has used stay. */
                keep_account?: boolean;
            };
            header?: never;
            path: {
                account_id: components["schemas"]["AccountId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The erasure goes on. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErasureBegun"];
                };
            };
        };
    };
    changeAccount: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                account_id: components["schemas"]["AccountId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AccountChangeRequest"];
            };
        };
        responses: {
            /** @description The account. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Account"];
                };
            };
        };
    };
    listActions: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
                /** @description Only actions with this status. */
                status?: "pending" | "resolved" | "expired" | "cancelled";
                /** @description Only actions of this conversation. */
                session_id?: components["schemas"]["SessionId"];
                /** @description Most actions of a page. */
                limit?: number;
                /** @description Where the page starts; from a `Link` header. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of actions. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Action"][];
                };
            };
        };
    };
    readAction: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                action_id: components["schemas"]["ActionId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The action. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Action"];
                };
            };
        };
    };
    decideAction: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: {
                /** @description `respond-async`: respond at once with 202. */
                Prefer?: string;
            };
            path: {
                action_id: components["schemas"]["ActionId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ActionDecision"];
            };
        };
        responses: {
            /** @description The turn's result, what it waits for, or its events. */
            200: {
                headers: {
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    "Server-Timing": components["headers"]["Server-Timing"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TurnResult"];
                    "text/event-stream": {
                        /** @description One line of JSON. */
                        data: string;
                        /** @enum {string} */
                        event: "turn" | "delta" | "thinking" | "tool_input" | "message" | "tool" | "usage" | "retry" | "compacted" | "attachment_removed" | "notice" | "file" | "action" | "action_resolved" | "paused" | "done" | "error";
                        /** @description `<turn_id>:<n>`; `n` rises. */
                        id: string;
                    } & ({
                        data?: string;
                        /** @constant */
                        event: "turn";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "delta";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "thinking";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "tool_input";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "message";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "tool";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "usage";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "retry";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "compacted";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "attachment_removed";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "notice";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "file";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "action";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "action_resolved";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "paused";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "done";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "error";
                    });
                };
            };
            /** @description The turn is stored and runs by itself. */
            202: {
                headers: {
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    Location: components["headers"]["Location"];
                    "Preference-Applied": components["headers"]["Preference-Applied"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AcceptedTurn"];
                };
            };
        };
    };
    listAudit: {
        parameters: {
            query?: {
                /** @description Most entries of a page. */
                limit?: number;
                /** @description Where the page starts; from a `Link` header. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of the audit. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditEntry"][];
                };
            };
        };
    };
    chat: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: {
                /** @description The same request sent twice with the same key runs once. */
                "Idempotency-Key"?: components["schemas"]["IdempotencyKey"];
                /** @description W3C Trace Context: the log lines of the turn have its `trace_id`, the agent's commands have it in `TRACEPARENT`, and the response has it again. One that breaks the specification's rules counts as absent. */
                traceparent?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChatRequest"];
            };
        };
        responses: {
            /** @description The answer as it is written. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": {
                        data: string;
                    };
                };
            };
        };
    };
    readChat: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                session_id: components["schemas"]["SessionId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The messages. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UiMessage"][];
                };
            };
        };
    };
    followChat: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                session_id: components["schemas"]["SessionId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answer from its beginning. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": {
                        data: string;
                    };
                };
            };
            /** @description No turn runs or waits. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    listConversations: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
                /** @description Most conversations of a page. */
                limit?: number;
                /** @description How many to leave out before the page. */
                offset?: number;
                /** @description Where the page starts; from a `Link` header. */
                cursor?: string;
                /** @description Finds conversations whose title or messages contain all these words, at most 8. */
                q?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page, perhaps an empty one. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConversationSummary"][];
                };
            };
        };
    };
    readConversation: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
                /** @description Only messages before the one with this id. */
                before?: string;
                /** @description `items`: what the turns of these messages did, too. */
                include?: "items";
            };
            header?: never;
            path: {
                session_id: components["schemas"]["SessionId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The conversation with its messages. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Conversation"];
                };
            };
        };
    };
    deleteConversation: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                session_id: components["schemas"]["SessionId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["AccountSelection"];
            };
        };
        responses: {
            /** @description It is gone, or was not there. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Success"];
                };
            };
        };
    };
    updateConversation: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                session_id: components["schemas"]["SessionId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ConversationChange"];
            };
        };
        responses: {
            /** @description The changed conversation, without its messages. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Conversation"];
                };
            };
        };
    };
    cancelConversation: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                session_id: components["schemas"]["SessionId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Cancellation"];
            };
        };
        responses: {
            /** @description How many turns were told to end. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Success"];
                };
            };
        };
    };
    compactConversation: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: {
                /** @description The same request sent twice with the same key runs once. */
                "Idempotency-Key"?: components["schemas"]["IdempotencyKey"];
                /** @description `respond-async`: respond at once with 202. */
                Prefer?: string;
            };
            path: {
                session_id: components["schemas"]["SessionId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Compaction"];
            };
        };
        responses: {
            /** @description The turn's result, what it waits for, or its events. */
            200: {
                headers: {
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    "Server-Timing": components["headers"]["Server-Timing"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TurnResult"];
                    "text/event-stream": {
                        /** @description One line of JSON. */
                        data: string;
                        /** @enum {string} */
                        event: "turn" | "delta" | "thinking" | "tool_input" | "message" | "tool" | "usage" | "retry" | "compacted" | "attachment_removed" | "notice" | "file" | "action" | "action_resolved" | "paused" | "done" | "error";
                        /** @description `<turn_id>:<n>`; `n` rises. */
                        id: string;
                    } & ({
                        data?: string;
                        /** @constant */
                        event: "turn";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "delta";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "thinking";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "tool_input";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "message";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "tool";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "usage";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "retry";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "compacted";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "attachment_removed";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "notice";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "file";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "action";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "action_resolved";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "paused";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "done";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "error";
                    });
                };
            };
            /** @description The turn is stored and runs by itself. */
            202: {
                headers: {
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    Location: components["headers"]["Location"];
                    "Preference-Applied": components["headers"]["Preference-Applied"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AcceptedTurn"];
                };
            };
        };
    };
    readContext: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                session_id: components["schemas"]["SessionId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description How full it was. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConversationContext"];
                };
            };
        };
    };
    followConversation: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
                /** @description Events to send in addition to the default ones, comma-separated. */
                include?: string;
            };
            header?: {
                /** @description The id of the last event that the client has. */
                "Last-Event-ID"?: string;
            };
            path: {
                session_id: components["schemas"]["SessionId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The turn's events, those that follow included. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": {
                        /** @description One line of JSON. */
                        data: string;
                        /** @enum {string} */
                        event: "turn" | "delta" | "thinking" | "tool_input" | "message" | "tool" | "usage" | "retry" | "compacted" | "attachment_removed" | "notice" | "file" | "action" | "action_resolved" | "paused" | "done" | "error";
                        /** @description `<turn_id>:<n>`; `n` rises. */
                        id: string;
                    } & ({
                        data?: string;
                        /** @constant */
                        event: "turn";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "delta";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "thinking";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "tool_input";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "message";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "tool";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "usage";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "retry";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "compacted";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "attachment_removed";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "notice";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "file";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "action";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "action_resolved";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "paused";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "done";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "error";
                    });
                };
            };
            /** @description The client has seen the turn's last event. */
            204: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    listFiles: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
                /** @description Only files whose path begins with it. */
                prefix?: string;
                /** @description Most files of a page. */
                limit?: number;
                /** @description Where the page starts; from a `Link` header. */
                cursor?: components["schemas"]["FilePath"];
            };
            header?: never;
            path: {
                session_id: components["schemas"]["SessionId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of files; or all of them. */
            200: {
                headers: {
                    "Content-Disposition": components["headers"]["Content-Disposition"];
                    Link: components["headers"]["Link"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FileList"];
                    "application/zip": unknown;
                };
            };
        };
    };
    readFile: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
                /** @description Read the file as it was at the end of this turn. Default: as it is now. */
                at?: components["schemas"]["TurnId"];
            };
            header?: {
                /** @description `bytes=<first>-<last>`, `bytes=<first>-` or `bytes=-<count>`. */
                Range?: string;
                /** @description Send the range only of the file with this entity tag. */
                "If-Range"?: string;
                /** @description Entity tags of which the file must have one. */
                "If-Match"?: string;
                /** @description Entity tags of files that the client has. */
                "If-None-Match"?: string;
            };
            path: {
                session_id: components["schemas"]["SessionId"];
                path: components["schemas"]["FilePath"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file. */
            200: {
                headers: {
                    "Accept-Ranges": components["headers"]["Accept-Ranges"];
                    "Content-Disposition": components["headers"]["Content-Disposition"];
                    "Content-Range": components["headers"]["Content-Range"];
                    "Content-Security-Policy": components["headers"]["Content-Security-Policy"];
                    ETag: components["headers"]["ETag"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
            /** @description The range of the file. */
            206: {
                headers: {
                    "Accept-Ranges": components["headers"]["Accept-Ranges"];
                    "Content-Disposition": components["headers"]["Content-Disposition"];
                    "Content-Range": components["headers"]["Content-Range"];
                    "Content-Security-Policy": components["headers"]["Content-Security-Policy"];
                    ETag: components["headers"]["ETag"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
            /** @description The client has the file. */
            304: {
                headers: {
                    "Accept-Ranges": components["headers"]["Accept-Ranges"];
                    ETag: components["headers"]["ETag"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    uploadFile: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: {
                /** @description Entity tags of which the file that is there must have one. */
                "If-Match"?: string;
                /** @description `*`: there must be no file. */
                "If-None-Match"?: "*";
            };
            path: {
                session_id: components["schemas"]["SessionId"];
                path: components["schemas"]["FilePath"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description The file is stored. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UploadedFile"];
                };
            };
        };
    };
    deleteFiles: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: {
                /** @description Entity tags of which the file must have one. */
                "If-Match"?: string;
            };
            path: {
                session_id: components["schemas"]["SessionId"];
                path: components["schemas"]["FilePath"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["AccountSelection"];
            };
        };
        responses: {
            /** @description They are gone. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Success"];
                };
            };
        };
    };
    forkConversation: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                session_id: components["schemas"]["SessionId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Fork"];
            };
        };
        responses: {
            /** @description The new conversation, without its messages. */
            201: {
                headers: {
                    Location: components["headers"]["Location"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Conversation"];
                };
            };
        };
    };
    rewindConversation: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                session_id: components["schemas"]["SessionId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Rewind"];
            };
        };
        responses: {
            /** @description The conversation as it was, without its messages. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Conversation"];
                };
            };
        };
    };
    listTurns: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
                /** @description Most turns of a page. */
                limit?: number;
                /** @description Only turns before this one. */
                before?: components["schemas"]["TurnId"];
            };
            header?: never;
            path: {
                session_id: components["schemas"]["SessionId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of turns. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Turn"][];
                };
            };
        };
    };
    readErasure: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                erasure_id: components["schemas"]["ErasureId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The receipt. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Erasure"];
                };
            };
        };
    };
    followAccount: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What changes in the account. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": {
                        /** @description One line of JSON. */
                        data: string;
                        /** @enum {string} */
                        event: "snapshot" | "turn" | "conversation" | "file" | "action" | "notice";
                    } & ({
                        data?: string;
                        /** @constant */
                        event: "snapshot";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "turn";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "conversation";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "file";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "action";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "notice";
                    });
                };
            };
        };
    };
    export: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
                /** @description Where the export starts: after this conversation. */
                cursor?: components["schemas"]["SessionId"];
                /** @description Whether files come with their bytes. */
                files?: "list" | "inline";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The lines. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": unknown;
                };
            };
        };
    };
    readFleet: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All accounts. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Fleet"];
                };
            };
        };
    };
    health: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The deployment answers. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
        };
    };
    import: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
                /** @description Whether conversations that are there are passed over, and one that is not whole at the end stays for the next request. */
                resume?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "*/*": unknown;
            };
        };
        responses: {
            /** @description How many conversations were imported. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Imported"];
                };
            };
        };
    };
    prewarm: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["AccountSelection"];
            };
        };
        responses: {
            /** @description The container starts, or runs already. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Prewarming"];
                };
            };
        };
    };
    purge: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["AccountSelection"];
            };
        };
        responses: {
            /** @description What was deleted. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PurgeResult"];
                };
            };
        };
    };
    listPurgeRuns: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The latest runs. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PurgeRun"][];
                };
            };
        };
    };
    startPurgeRun: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The run has started. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PurgeRunStarted"];
                };
            };
        };
    };
    query: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: {
                /** @description The same request sent twice with the same key runs once. */
                "Idempotency-Key"?: components["schemas"]["IdempotencyKey"];
                /** @description `respond-async`: respond at once with 202. */
                Prefer?: string;
                /** @description W3C Trace Context: the log lines of the turn have its `trace_id`, the agent's commands have it in `TRACEPARENT`, and the response has it again. One that breaks the specification's rules counts as absent. */
                traceparent?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["QueryRequest"];
            };
        };
        responses: {
            /** @description The turn's result, what it waits for, or its events. */
            200: {
                headers: {
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    "Server-Timing": components["headers"]["Server-Timing"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TurnResult"];
                    "text/event-stream": {
                        /** @description One line of JSON. */
                        data: string;
                        /** @enum {string} */
                        event: "turn" | "delta" | "thinking" | "tool_input" | "message" | "tool" | "usage" | "retry" | "compacted" | "attachment_removed" | "notice" | "file" | "action" | "action_resolved" | "paused" | "done" | "error";
                        /** @description `<turn_id>:<n>`; `n` rises. */
                        id: string;
                    } & ({
                        data?: string;
                        /** @constant */
                        event: "turn";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "delta";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "thinking";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "tool_input";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "message";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "tool";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "usage";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "retry";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "compacted";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "attachment_removed";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "notice";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "file";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "action";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "action_resolved";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "paused";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "done";
                    } | {
                        data?: string;
                        /** @constant */
                        event: "error";
                    });
                };
            };
            /** @description The turn is stored and runs by itself. */
            202: {
                headers: {
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    Location: components["headers"]["Location"];
                    "Preference-Applied": components["headers"]["Preference-Applied"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AcceptedTurn"];
                };
            };
        };
    };
    listSchedules: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All schedules, by name. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Schedule"][];
                };
            };
        };
    };
    readSchedule: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                name: components["schemas"]["ResourceName"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The schedule. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Schedule"];
                };
            };
        };
    };
    setSchedule: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                name: components["schemas"]["ResourceName"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ScheduleRequest"];
            };
        };
        responses: {
            /** @description The schedule as it is now. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Schedule"];
                };
            };
        };
    };
    deleteSchedule: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                name: components["schemas"]["ResourceName"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["AccountSelection"];
            };
        };
        responses: {
            /** @description It is gone, or was not there. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Success"];
                };
            };
        };
    };
    runSchedule: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                name: components["schemas"]["ResourceName"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["AccountSelection"];
            };
        };
        responses: {
            /** @description The turn is stored and runs by itself. */
            202: {
                headers: {
                    Location: components["headers"]["Location"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedRun"];
                };
            };
        };
    };
    listRuns: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
                /** @description Most runs. */
                limit?: number;
            };
            header?: never;
            path: {
                name: components["schemas"]["ResourceName"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The latest runs. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ScheduleRun"][];
                };
            };
        };
    };
    storageStats: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The account's counts. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StorageStats"];
                };
            };
        };
    };
    makeToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TokenRequest"];
            };
        };
        responses: {
            /** @description The token. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Token"];
                };
            };
        };
    };
    readTurn: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
                /** @description `items`: what the turn did, too, once it has ended. */
                include?: "items";
            };
            header?: never;
            path: {
                turn_id: components["schemas"]["TurnId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The turn. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Turn"];
                };
            };
        };
    };
    readUsage: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
                /** @description The first day. Default: the first of the month of `to`. */
                from?: components["schemas"]["Day"];
                /** @description The last day, at most 366 days from the first. Default: today. */
                to?: components["schemas"]["Day"];
                /** @description By what it is summed. Default: `day`. */
                group?: components["schemas"]["Group"];
                /** @description Most rows. */
                limit?: number;
                /** @description Where the page starts, by conversation; from a `Link` header. */
                cursor?: components["schemas"]["SessionId"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What was used. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UsageReport"];
                    "text/csv": unknown;
                };
            };
        };
    };
    listWebhooks: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All webhooks, by name. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"][];
                };
            };
        };
    };
    readWebhook: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                name: components["schemas"]["ResourceName"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The webhook. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
        };
    };
    setWebhook: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                name: components["schemas"]["ResourceName"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WebhookRequest"];
            };
        };
        responses: {
            /** @description The webhook as it is now. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
        };
    };
    deleteWebhook: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                name: components["schemas"]["ResourceName"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["AccountSelection"];
            };
        };
        responses: {
            /** @description It is gone, or was not there. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Success"];
                };
            };
        };
    };
    listDeliveries: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
                /** @description Most deliveries of a page. */
                limit?: number;
                /** @description Only deliveries before this one. */
                before?: components["schemas"]["WebhookEventId"];
            };
            header?: never;
            path: {
                name: components["schemas"]["ResourceName"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of deliveries. */
            200: {
                headers: {
                    Link: components["headers"]["Link"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookDelivery"][];
                };
            };
        };
    };
    redeliver: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                name: components["schemas"]["ResourceName"];
                event_id: components["schemas"]["WebhookEventId"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["AccountSelection"];
            };
        };
        responses: {
            /** @description The event is being sent. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QueuedEvent"];
                };
            };
        };
    };
    testWebhook: {
        parameters: {
            query?: {
                /** @description Selects the account. Default: the token's account; with a key, `default`. */
                accountId?: components["schemas"]["AccountId"];
            };
            header?: never;
            path: {
                name: components["schemas"]["ResourceName"];
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["AccountSelection"];
            };
        };
        responses: {
            /** @description The event is being sent. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QueuedEvent"];
                };
            };
        };
    };
}

/** Why a request was refused or a turn failed: the `code` of a problem document. */
export type ErrorCode =
    | "account_suspended"
    | "action_pending"
    | "action_resolved"
    | "agent_failed"
    | "at_capacity"
    | "attachment_not_found"
    | "attachment_too_large"
    | "auth_not_configured"
    | "body_too_large"
    | "branch_unavailable"
    | "budget_exhausted"
    | "container_unavailable"
    | "conversation_busy"
    | "conversation_exists"
    | "files_not_configured"
    | "idempotency_key_reused"
    | "internal"
    | "invalid_account"
    | "invalid_json"
    | "invalid_output_schema"
    | "invalid_parameter"
    | "invalid_session_id"
    | "invalid_tool_schema"
    | "length_required"
    | "model_auth_failed"
    | "model_failed"
    | "model_rate_limited"
    | "no_prompt"
    | "not_found"
    | "object_reset"
    | "operator_only"
    | "output_invalid"
    | "precondition_failed"
    | "prompt_too_large"
    | "queue_full"
    | "range_not_satisfiable"
    | "rate_limited"
    | "request_timeout"
    | "storage_full"
    | "token_not_set"
    | "turn_cancelled"
    | "turn_interrupted"
    | "turn_timeout"
    | "unauthorized"
    | "unsupported_attachment"
    | "unsupported_media_type"
    | "workspace_damaged"
    | "workspace_unavailable"
    | "wrong_account";

/** What each event of a turn carries, by the event's name. */
export interface EventData {
    "turn": components["schemas"]["TurnEvent"];
    "delta": components["schemas"]["DeltaEvent"];
    "thinking": components["schemas"]["ThinkingEvent"];
    "tool_input": components["schemas"]["ToolInputEvent"];
    "message": components["schemas"]["MessageEvent"];
    "tool": components["schemas"]["ToolEvent"];
    "usage": components["schemas"]["UsageEvent"];
    "retry": components["schemas"]["RetryEvent"];
    "compacted": components["schemas"]["CompactedEvent"];
    "attachment_removed": components["schemas"]["AttachmentRemovedEvent"];
    "notice": components["schemas"]["NoticeEvent"];
    "file": components["schemas"]["ChangedFile"];
    "action": components["schemas"]["Action"];
    "action_resolved": components["schemas"]["ActionResolvedEvent"];
    "paused": components["schemas"]["PausedEvent"];
    "done": components["schemas"]["TurnResult"];
    "error": components["schemas"]["Problem"];
}

/** What each event of the account's feed carries, by the event's name. */
export interface FeedData {
    "snapshot": components["schemas"]["FeedSnapshot"];
    "turn": components["schemas"]["FeedTurn"];
    "conversation": components["schemas"]["FeedConversation"];
    "file": components["schemas"]["FeedFile"];
    "action": components["schemas"]["Action"];
    "notice": components["schemas"]["NoticeEvent"];
}
