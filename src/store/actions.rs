//! Actions: what turns wait for. One is there before anybody hears of it, and is decided once.

use super::cache::NextExpiry;
use super::conversations::{session_id, unreadable};
use super::sql::{Row, Sql, Value};
use super::turn_row::parsed;
use super::{Store, StoreError, integer, json};
use crate::domain::action::ActionsOf;
use crate::domain::{Action, ActionId, ActionKind, ActionStatus, Decision, Millis, RawJson, SessionId, TurnId};

macro_rules! columns {
    () => {
        "action_id, turn_id, session_id, reference, kind, tool_call_id, tool, input, message, suggestions, schema, status, \
         decision, created_at, expires_at, resolved_at, n"
    };
}

/// An action as it is stored.
pub struct ActionKept {
    /// The action.
    pub action: Action,
    /// Whether it was stored now.
    pub is_new: bool,
}

impl<S: Sql> Store<S> {
    /// The rules that the request of a turn denies calls with.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn denied_by(&self, turn_id: &TurnId) -> Result<Vec<String>, StoreError> {
        const DENIED: &str = "select options -> '$.deny_tools' from turns where turn_id = +?1";
        let row = self.sql.first(DENIED, &[Value::Text(turn_id.as_str())])?;
        let rules = row.map(|mut row| row.opt_text(0)).transpose()?.flatten();
        Ok(parsed("options", rules)?.unwrap_or_default())
    }

    /// Stores an action, unless its turn has one with the same reference; returns the one that is stored.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn insert_action(&self, action: &Action) -> Result<ActionKept, StoreError> {
        const INSERT: &str = concat!(
            "insert into actions (",
            columns!(),
            ") values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
        );
        if let Some(action) = self.action_called(&action.turn_id, &action.reference)? {
            return Ok(ActionKept { action, is_new: false });
        }
        let decision = action.decision.as_ref().map(json).transpose()?;
        self.sql.execute(
            INSERT,
            &[
                Value::Text(action.action_id.as_str()),
                Value::Text(action.turn_id.as_str()),
                Value::Text(action.session_id.as_str()),
                Value::Text(&action.reference),
                Value::Text(action.kind.as_str()),
                action.tool_call_id.as_deref().into(),
                action.tool.as_deref().into(),
                action.input.as_ref().map(RawJson::get).into(),
                action.message.as_deref().into(),
                action.suggestions.as_ref().map(RawJson::get).into(),
                action.schema.as_ref().map(RawJson::get).into(),
                Value::Text(action.status.as_str()),
                decision.as_deref().into(),
                Value::Integer(action.created_at.get()),
                Value::Integer(action.expires_at.get()),
                action.resolved_at.map(Millis::get).into(),
                integer(action.n),
            ],
        )?;
        self.cache.next_expiry.set(NextExpiry::Unknown);
        Ok(ActionKept { action: action.clone(), is_new: true })
    }

    /// One action.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn action(&self, action_id: &ActionId) -> Result<Option<Action>, StoreError> {
        const ONE: &str = concat!("select ", columns!(), " from actions where action_id = +?1");
        self.sql.first(ONE, &[Value::Text(action_id.as_str())])?.map(action_from).transpose()
    }

    /// A turn's action by what the container calls it.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn action_called(&self, turn_id: &TurnId, reference: &str) -> Result<Option<Action>, StoreError> {
        const ONE: &str = concat!("select ", columns!(), " from actions where turn_id = +?1 and reference = +?2");
        let row = self.sql.first(ONE, &[Value::Text(turn_id.as_str()), Value::Text(reference)])?;
        row.map(action_from).transpose()
    }

    /// A turn's actions that nobody has decided, in the order in which they came up.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn pending_of(&self, turn_id: &TurnId) -> Result<Vec<Action>, StoreError> {
        const OF: &str =
            concat!("select ", columns!(), " from actions where turn_id = +?1 and status = 'pending' order by n");
        self.sql.query(OF, &[Value::Text(turn_id.as_str())])?.into_iter().map(action_from).collect()
    }

    /// The ids of a turn's actions that came up with the event `n` or later and are not pending, in the order in which they came up.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn closed_since(&self, turn_id: &TurnId, n: u64) -> Result<Vec<ActionId>, StoreError> {
        const CLOSED: &str =
            "select action_id from actions where turn_id = +?1 and n >= ?2 and status <> 'pending' order by n";
        let rows = self.sql.query(CLOSED, &[Value::Text(turn_id.as_str()), integer(n)])?;
        rows.into_iter().map(action_id).collect()
    }

    /// The bytes of what was decided of a turn's actions that came up with the event `n` or later.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn decided_bytes(&self, turn_id: &TurnId, n: u64) -> Result<u64, StoreError> {
        const BYTES: &str =
            "select coalesce(sum(octet_length(decision)), 0) from actions where turn_id = +?1 and n >= ?2";
        let row = self.sql.first(BYTES, &[Value::Text(turn_id.as_str()), integer(n)])?;
        Ok(row.map_or(Ok(0), |row| row.count(0))?)
    }

    /// Whether a plan of the turn was approved.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn has_approved_plan(&self, turn_id: &TurnId) -> Result<bool, StoreError> {
        const HAS: &str =
            "select 1 from actions where turn_id = +?1 and kind = 'plan' and decision ->> 'decision' = 'allow' limit 1";
        Ok(self.sql.first(HAS, &[Value::Text(turn_id.as_str())])?.is_some())
    }

    /// A turn's actions, in the order in which they came up.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn actions_of(&self, turn_id: &TurnId) -> Result<Vec<Action>, StoreError> {
        const OF: &str = concat!("select ", columns!(), " from actions where turn_id = +?1 order by n");
        self.sql.query(OF, &[Value::Text(turn_id.as_str())])?.into_iter().map(action_from).collect()
    }

    /// The oldest `limit` actions that a page lists, or fewer if they have more than `max_bytes`, but one at least. Returns whether there are more.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn list_actions(&self, of: &ActionsOf, limit: u32, max_bytes: u64) -> Result<(Vec<Action>, bool), StoreError> {
        // Their sizes are read first: what a page does not hold must not come into memory.
        const LIST: &str = "select action_id, coalesce(octet_length(input), 0) + coalesce(octet_length(message), 0) \
             + coalesce(octet_length(suggestions), 0) + coalesce(octet_length(schema), 0) + coalesce(octet_length(decision), 0) \
             from actions where (?1 is null or status = ?1) and (?2 is null or session_id = ?2) \
             and (created_at, action_id) > (?3, ?4) order by created_at, action_id limit +?5";
        let (created_at, behind) = of.after.as_ref().map_or((i64::MIN, ""), |(at, id)| (at.get(), id.as_str()));
        let values = [
            of.status.map(ActionStatus::as_str).into(),
            of.session_id.as_ref().map(SessionId::as_str).into(),
            Value::Integer(created_at),
            Value::Text(behind),
            Value::Integer(i64::from(limit) + 1),
        ];
        let rows = self.sql.query(LIST, &values)?;
        let (found, mut actions, mut bytes) = (rows.len(), Vec::new(), 0);
        for row in rows.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            bytes += row.count(1)?;
            if bytes > max_bytes && !actions.is_empty() {
                break;
            }
            actions.extend(self.action(&action_id(row)?)?);
        }
        let more = actions.len() < found;
        Ok((actions, more))
    }

    /// Whether a turn has an action that nobody has decided.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn is_pending(&self, turn_id: &TurnId) -> Result<bool, StoreError> {
        const IS: &str = "select 1 from actions where turn_id = +?1 and status = 'pending' limit 1";
        Ok(self.sql.first(IS, &[Value::Text(turn_id.as_str())])?.is_some())
    }

    /// How many actions of the account are pending.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn pending_actions(&self) -> Result<u64, StoreError> {
        const COUNT: &str = "select count(*) from actions where status = 'pending'";
        self.sql.first(COUNT, &[])?.map_or(Ok(0), |row| Ok(row.count(0)?))
    }

    /// When the next pending action expires.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn next_expiry(&self) -> Result<Option<Millis>, StoreError> {
        const NEXT: &str = "select expires_at from actions where status = 'pending' order by expires_at limit 1";
        match self.cache.next_expiry.get() {
            NextExpiry::Unknown => {}
            NextExpiry::Never => return Ok(None),
            NextExpiry::At(at) => return Ok(Some(at)),
        }
        let next = self.sql.first(NEXT, &[])?.map(|row| row.integer(0)).transpose()?.map(Millis::new);
        self.cache.next_expiry.set(next.map_or(NextExpiry::Never, NextExpiry::At));
        Ok(next)
    }

    /// The pending actions that have expired by now, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn expired_actions(&self, now: Millis, limit: u32) -> Result<Vec<Action>, StoreError> {
        const DUE: &str = concat!(
            "select ",
            columns!(),
            " from actions where status = 'pending' and expires_at <= ?1 order by expires_at limit +?2"
        );
        let values = [Value::Integer(now.get()), Value::Integer(i64::from(limit))];
        self.sql.query(DUE, &values)?.into_iter().map(action_from).collect()
    }

    /// Closes a pending action. Returns whether it was pending.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn close_action(
        &self,
        action_id: &ActionId,
        status: ActionStatus,
        decision: Option<&Decision>,
        now: Millis,
    ) -> Result<bool, StoreError> {
        const CLOSE: &str = "update actions set status = ?2, decision = ?3, resolved_at = ?4 \
             where action_id = +?1 and status = 'pending' returning 1";
        let decision = decision.map(json).transpose()?;
        let values = [
            Value::Text(action_id.as_str()),
            Value::Text(status.as_str()),
            decision.as_deref().into(),
            Value::Integer(now.get()),
        ];
        self.cache.next_expiry.set(NextExpiry::Unknown);
        Ok(self.sql.first(CLOSE, &values)?.is_some())
    }

    /// Cancels the pending actions of a turn that ends.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub(super) fn cancel_actions_of(&self, turn_id: &TurnId, now: Millis) -> Result<(), StoreError> {
        const CANCEL: &str = "update actions set status = 'cancelled', resolved_at = ?2 \
             where turn_id = +?1 and status = 'pending'";
        self.cache.next_expiry.set(NextExpiry::Unknown);
        Ok(self.sql.execute(CANCEL, &[Value::Text(turn_id.as_str()), Value::Integer(now.get())])?)
    }

    /// The rules by which calls of a conversation run unasked, each as its action suggested it.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn grants_of(&self, session_id: &SessionId) -> Result<Vec<RawJson>, StoreError> {
        const OF: &str = "select grants from conversations where session_id = +?1";
        let row = self.sql.first(OF, &[Value::Text(session_id.as_str())])?;
        let grants = row.map(|mut row| row.opt_text(0)).transpose()?.flatten();
        grants.map_or(Ok(Vec::new()), |json| serde_json::from_str(&json).map_err(|e| unreadable("grants", &e)))
    }

    /// Sets the rules by which calls of a conversation run unasked.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_grants(&self, session_id: &SessionId, grants: &[RawJson]) -> Result<(), StoreError> {
        const SET: &str = "update conversations set grants = ?2 where session_id = +?1";
        Ok(self.sql.execute(SET, &[Value::Text(session_id.as_str()), Value::Text(&json(&grants)?)])?)
    }
}

fn action_id(mut row: Row) -> Result<ActionId, StoreError> {
    row.text(0)?.try_into().map_err(|e| unreadable("action_id", &e))
}

fn action_from(mut row: Row) -> Result<Action, StoreError> {
    let raw = |text: Option<String>, what| {
        text.map(|text| RawJson::parse(&text).ok_or_else(|| unreadable(what, &"no JSON"))).transpose()
    };
    let (kind, status) = (row.text(4)?, row.text(11)?);
    let decision = row.opt_text(12)?;
    let decision = decision.map(|json| serde_json::from_str(&json).map_err(|e| unreadable("decision", &e)));
    Ok(Action {
        action_id: row.text(0)?.try_into().map_err(|e| unreadable("action_id", &e))?,
        turn_id: row.text(1)?.try_into().map_err(|e| unreadable("turn_id", &e))?,
        session_id: session_id(row.text(2)?)?,
        reference: row.text(3)?,
        kind: ActionKind::parse(&kind).ok_or_else(|| unreadable("kind", &kind))?,
        tool_call_id: row.opt_text(5)?,
        tool: row.opt_text(6)?,
        input: raw(row.opt_text(7)?, "input")?,
        message: row.opt_text(8)?,
        suggestions: raw(row.opt_text(9)?, "suggestions")?,
        schema: raw(row.opt_text(10)?, "schema")?,
        status: ActionStatus::parse(&status).ok_or_else(|| unreadable("status", &status))?,
        decision: decision.transpose()?,
        created_at: Millis::new(row.integer(13)?),
        expires_at: Millis::new(row.integer(14)?),
        resolved_at: row.opt_integer(15)?.map(Millis::new),
        n: row.count(16)?,
    })
}
