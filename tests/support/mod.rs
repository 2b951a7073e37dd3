//! What the native store suites share: the store's port on rusqlite, and one turn's writes as an account makes them. Holds no test.
#![allow(dead_code, reason = "each suite is a crate of its own and takes what it needs")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a suite that cannot go on stops")]

pub mod account;
pub mod asking;
pub mod bucket;
pub mod container;
pub mod deciding;
pub mod executor;
pub mod listening;
pub mod model_calls;
pub mod moving;
mod noted;
mod performing;
pub mod port;
pub mod receiver;
pub mod runtime;
pub mod script;
pub mod stage;
pub mod stage_runtime;
mod turn_stream;
pub mod v1;
pub mod webhooks;
pub mod workspace;
pub mod zones;

use std::cell::{Cell as Shared, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use claude_agent_service::domain::{
    IdempotencyKey, Millis, RequestId, SdkSession, SessionId, Title, TurnId, TurnOptions, TurnStatus, Usage,
};
use claude_agent_service::store::sql::{Cell, Document, Row, Sql, SqlError, Value};
use claude_agent_service::store::transactions::{self, Finished};
use claude_agent_service::store::turns::{LastEvents, TurnEnd};
use claude_agent_service::store::usage::LedgerEntry;
use claude_agent_service::store::{Store, StoreError};
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement, StatementStatus, ToSql, params_from_iter};
use uuid::Uuid;

/// The moment at which the suites begin.
pub const NOW: Millis = Millis::new(1_795_330_108_184);

/// SQLite on rusqlite. Clones speak to the same database.
#[derive(Clone)]
pub struct Rusqlite {
    connection: Rc<Connection>,
    depth: Rc<Shared<u32>>,
    last: Rc<Shared<&'static str>>,
    ran: Rc<RefCell<BTreeSet<&'static str>>>,
    steps: Rc<Shared<i32>>,
}

impl Rusqlite {
    /// An empty database in memory, with foreign keys on and with the limits that the platform has: those of a row, of bound
    /// values, of patterns and of an expression's depth.
    pub fn in_memory() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        for (limit, at_most) in [
            (Limit::SQLITE_LIMIT_LENGTH, 2_000_000),
            (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 100),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
        ] {
            connection.set_limit(limit, at_most).unwrap();
        }
        connection.set_prepared_statement_cache_capacity(128);
        Self {
            connection: Rc::new(connection),
            depth: Rc::default(),
            last: Rc::default(),
            ran: Rc::default(),
            steps: Rc::default(),
        }
    }

    /// The first column of the first row of any statement, as text.
    pub fn text(&self, statement: &str) -> String {
        self.texts(statement).into_iter().next().unwrap_or_default()
    }

    /// The first column of every row of any statement, as text.
    pub fn texts(&self, statement: &str) -> Vec<String> {
        let mut statement = self.connection.prepare(statement).unwrap();
        let rows = statement.query_map([], |row| Ok(as_text(row.get_ref(0)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// How many rows a table has.
    pub fn count(&self, table: &str) -> usize {
        self.text(&format!("select count(*) from {table}")).parse().unwrap()
    }

    /// How SQLite carries out the statement that the store ran last, a line per step.
    pub fn plan_of_last(&self) -> Vec<String> {
        self.plan(self.last.get())
    }

    /// How many steps SQLite took for the statement that the store ran last.
    pub fn steps_of_last(&self) -> i32 {
        self.steps.get()
    }

    /// How SQLite carries out the one statement with these words among those that the store ran.
    pub fn plan_of(&self, words: &str) -> Vec<String> {
        let ran = self.ran.borrow();
        let found: Vec<_> = ran.iter().filter(|statement| statement.contains(words)).collect();
        assert_eq!(found.len(), 1, "{words}: {found:?}");
        self.plan(found[0])
    }

    fn plan(&self, statement: &str) -> Vec<String> {
        let mut statement = self.connection.prepare(&format!("explain query plan {statement}")).unwrap();
        let unbound = vec![rusqlite::types::Null; statement.parameter_count()];
        let rows = statement.query_map(params_from_iter(unbound), |row| row.get("detail")).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Runs any statements.
    pub fn run(&self, statements: &str) {
        self.connection.execute_batch(statements).unwrap();
        self.connection.flush_prepared_statement_cache();
    }
}

fn as_text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(integer) => integer.to_string(),
        ValueRef::Real(real) => real.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

struct Bound<'a>(&'a Value<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(integer) => ValueRef::Integer(integer),
            Value::Real(real) => ValueRef::Real(real),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn sql_error(error: rusqlite::Error) -> SqlError {
    SqlError(error.to_string())
}

fn rows(statement: &mut Statement<'_>, values: &[Value<'_>]) -> rusqlite::Result<Vec<Row>> {
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(values.iter().map(Bound)))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let cell = |index| {
            Ok(match row.get_ref(index)? {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(integer) => Cell::Integer(integer),
                ValueRef::Real(real) => Cell::Real(real),
                text @ (ValueRef::Text(_) | ValueRef::Blob(_)) => Cell::Text(as_text(text)),
            })
        };
        all.push(Row((0..columns).map(cell).collect::<rusqlite::Result<_>>()?));
    }
    Ok(all)
}

impl Sql for Rusqlite {
    type Json = String;

    fn query(&self, statement: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, SqlError> {
        self.last.set(statement);
        self.ran.borrow_mut().insert(statement);
        let mut prepared = self.connection.prepare_cached(statement).map_err(sql_error)?;
        let result = rows(&mut prepared, values).map_err(sql_error);
        self.steps.set(prepared.reset_status(StatementStatus::VmStep));
        assert_eq!(prepared.get_status(StatementStatus::RePrepare), 0, "is prepared anew at each run: {statement}");
        drop(prepared);
        if !["select", "insert", "update", "delete"].iter().any(|verb| statement.starts_with(verb)) {
            // It may have changed the schema, which all others must be prepared for.
            self.connection.flush_prepared_statement_cache();
        }
        result
    }

    fn document(&self, statement: &'static str, values: &[Value<'_>]) -> Result<Option<Document<String>>, SqlError> {
        let document = |mut row: Row| Ok(Document { json: row.text(0)?, rest: Row(row.0.split_off(1)) });
        self.query(statement, values)?.into_iter().next().map(document).transpose()
    }

    fn transaction<T, E: From<SqlError>>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let depth = self.depth.get();
        let run = |verb: &str| self.connection.execute_batch(&format!("{verb} level_{depth}")).map_err(sql_error);
        run("savepoint")?;
        self.depth.set(depth + 1);
        let result = f();
        self.depth.set(depth);
        if result.is_err() {
            run("rollback to")?;
        }
        run("release")?;
        result
    }

    fn json(&self, text: String) -> String {
        text
    }

    fn erase(&self) -> Result<(), SqlError> {
        let drop_all = self.texts("select 'drop table ' || name from sqlite_schema where type = 'table'").join(";");
        let keys = |on: bool| self.connection.pragma_update(None, "foreign_keys", on).map_err(sql_error);
        keys(false)?;
        self.connection.execute_batch(&drop_all).map_err(sql_error)?;
        self.connection.flush_prepared_statement_cache();
        keys(true)
    }

    /// Rows of tables only; workerd counts those of indexes too, and the end-to-end tests pin its figure.
    fn rows_written(&self) -> u64 {
        self.connection.total_changes()
    }

    fn database_bytes(&self) -> u64 {
        let pages = "select page_count * page_size from pragma_page_count(), pragma_page_size()";
        self.text(pages).parse().unwrap()
    }
}

/// A store with its tables made.
pub fn made_store(sql: Rusqlite, now: Millis) -> Store<Rusqlite> {
    let store = Store::open(sql, now).unwrap();
    store.make(now).unwrap();
    store
}

/// An account's empty store, and its database for a look inside.
pub fn store() -> (Store<Rusqlite>, Rusqlite) {
    let sql = Rusqlite::in_memory();
    (made_store(sql.clone(), NOW), sql)
}

/// The moment so many milliseconds after [`NOW`].
pub fn at(ms: i64) -> Millis {
    Millis::new(NOW.get() + ms)
}

/// A session id.
pub fn session(id: &str) -> SessionId {
    id.parse().unwrap()
}

/// The `n`-th turn's id.
pub fn turn(n: u128) -> TurnId {
    TurnId::new(Uuid::from_u128(n))
}

/// An SDK session's id.
pub fn sdk_session(n: u128) -> SdkSession {
    Uuid::from_u128(n).to_string().parse().unwrap()
}

/// A turn to be admitted.
pub struct Admission<'a> {
    /// Its conversation.
    pub session_id: &'a str,
    /// Its id.
    pub turn_id: TurnId,
    /// Its query.
    pub prompt: &'a str,
    /// The caller's key and the request's hash.
    pub key: Option<(&'a str, &'a str)>,
    /// When.
    pub now: Millis,
    /// Whether it starts at once.
    pub starts: bool,
}

/// The `n`-th turn, `n` seconds after [`NOW`], in that conversation; it starts at once.
pub fn admission<'a>(n: u128, session_id: &'a str, prompt: &'a str) -> Admission<'a> {
    let now = at(i64::try_from(n).unwrap() * 1_000);
    Admission { session_id, turn_id: turn(n), prompt, key: None, now, starts: true }
}

/// Admits a turn. Returns the query's `seq`.
pub fn admit(store: &Store<Rusqlite>, turn: &Admission<'_>) -> Result<i64, StoreError> {
    let key: Option<(IdempotencyKey, &str)> = turn.key.map(|(key, hash)| (key.parse().unwrap(), hash));
    store.admit(&transactions::Admission {
        account_id: &"zoë".parse().unwrap(),
        turn_id: &turn.turn_id,
        session_id: &session(turn.session_id),
        title: &Title::from_prompt(turn.prompt),
        prompt: turn.prompt,
        content: None,
        options: &TurnOptions::default(),
        request_id: &RequestId::new(Uuid::from_u128(7)),
        idempotency: key.as_ref().map(|(key, hash)| (key, *hash)),
        now: turn.now,
        queue_position: None,
        starts: turn.starts,
        instance: None,
    })
}

/// What a turn of the suites uses.
pub const USAGE: Usage = Usage {
    input_tokens: 10,
    output_tokens: 5,
    cache_read_input_tokens: 3,
    cache_creation_input_tokens: 2,
    cost_usd: 0.1,
};

/// Ends a turn with an answer. Returns whether it was still active.
pub fn finish(store: &Store<Rusqlite>, turn_id: &TurnId, answer: &str, now: Millis) -> Result<bool, StoreError> {
    let active = store.active_turns()?.iter().any(|turn| turn.turn_id == *turn_id);
    let end = TurnEnd {
        status: TurnStatus::Completed,
        error: None,
        model: Some("claude-test"),
        usage: Some(USAGE),
        num_turns: Some(1),
        duration_ms: Some(900),
        finished_at: now,
        last_events: LastEvents { message: 3, end: 5 },
        counted: None,
        stop_reason: None,
        by_model: None,
    };
    store.finish(&Finished {
        has_waited: false,
        turn_id,
        end,
        answer: Some(answer),
        transcript: "{\"type\":\"user\"}\n",
        sdk_session: Some(&sdk_session(1)),
        items: "",
        context: None,
        frees_key: false,
        steered: &[],
        files: None,
        usage: &LedgerEntry::default(),
    })?;
    Ok(active)
}

/// A whole turn: the `n`-th, `n` seconds after [`NOW`], answered at once.
pub fn exchange(store: &Store<Rusqlite>, n: u128, session_id: &str, prompt: &str, answer: &str) {
    let turn = admission(n, session_id, prompt);
    admit(store, &turn).unwrap();
    assert!(finish(store, &turn.turn_id, answer, turn.now).unwrap());
}
