//! The account's webhooks, with the secrets that sign what is sent to them.

use std::rc::Rc;

use super::conversations::unreadable;
use super::sql::{Row, Sql, Value};
use super::{Store, StoreError, json};
use crate::domain::{Millis, ResourceName, Webhook};

/// A webhook with its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWebhook {
    /// What its account is told of it.
    pub webhook: Webhook,
    /// What signs.
    pub secret: String,
    /// What signs, too, until `webhook.previous_secret_until`.
    pub old_secret: Option<String>,
}

impl<S: Sql> Store<S> {
    /// All webhooks, by name.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn webhooks(&self) -> Result<Rc<[StoredWebhook]>, StoreError> {
        const ALL: &str = "select name, url, types, include, secret, old_secret, old_until, disabled_at, created_at, \
             updated_at from webhooks order by name";
        if let Some(webhooks) = self.cache.webhooks.borrow().clone() {
            return Ok(webhooks);
        }
        let webhooks: Rc<[StoredWebhook]> =
            self.sql.query(ALL, &[])?.into_iter().map(webhook_from).collect::<Result<_, _>>()?;
        self.cache.webhooks.replace(Some(Rc::clone(&webhooks)));
        Ok(webhooks)
    }

    /// One webhook; none if there is none of that name.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn webhook(&self, name: &str) -> Result<Option<StoredWebhook>, StoreError> {
        Ok(self.webhooks()?.iter().find(|stored| stored.webhook.name.as_str() == name).cloned())
    }

    /// Stores a webhook in place of the one of its name.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_webhook(&self, stored: &StoredWebhook) -> Result<(), StoreError> {
        const SET: &str = "insert into webhooks (name, url, types, include, secret, old_secret, old_until, disabled_at, \
             created_at, updated_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, null, ?8, ?9) on conflict (name) do update set \
             url = excluded.url, types = excluded.types, include = excluded.include, secret = excluded.secret, \
             old_secret = excluded.old_secret, old_until = excluded.old_until, disabled_at = null, \
             updated_at = excluded.updated_at";
        let StoredWebhook { webhook, secret, old_secret } = stored;
        self.cache.webhooks.replace(None);
        let values = [
            Value::Text(webhook.name.as_str()),
            Value::Text(&webhook.url),
            Value::Text(&json(&webhook.types)?),
            Value::Text(&json(&webhook.include)?),
            Value::Text(secret),
            old_secret.as_deref().into(),
            webhook.previous_secret_until.map(Millis::get).into(),
            Value::Integer(webhook.created_at.get()),
            Value::Integer(webhook.updated_at.get()),
        ];
        Ok(self.sql.execute(SET, &values)?)
    }

    /// Sends a webhook nothing more.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn disable_webhook(&self, name: &str, now: Millis) -> Result<(), StoreError> {
        const DISABLE: &str = "update webhooks set disabled_at = ?2 where name = +?1";
        self.cache.webhooks.replace(None);
        Ok(self.sql.execute(DISABLE, &[Value::Text(name), Value::Integer(now.get())])?)
    }

    /// Deletes a webhook and its deliveries.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn delete_webhook(&self, name: &str) -> Result<(), StoreError> {
        const WEBHOOK: &str = "delete from webhooks where name = +?1";
        const DELIVERIES: &str = "delete from outbox where target = +?1";
        self.transaction(|| {
            self.cache.webhooks.replace(None);
            self.cache.outbox.replace(None);
            self.sql.execute(WEBHOOK, &[Value::Text(name)])?;
            Ok(self.sql.execute(DELIVERIES, &[Value::Text(name)])?)
        })
    }
}

fn webhook_from(mut row: Row) -> Result<StoredWebhook, StoreError> {
    let (types, include) = (row.text(2)?, row.text(3)?);
    Ok(StoredWebhook {
        secret: row.text(4)?,
        old_secret: row.opt_text(5)?,
        webhook: Webhook {
            name: ResourceName::try_from(row.text(0)?).map_err(|e| unreadable("name", &e))?,
            url: row.text(1)?,
            types: serde_json::from_str(&types).map_err(|e| unreadable("types", &e))?,
            include: serde_json::from_str(&include).map_err(|e| unreadable("include", &e))?,
            enabled: row.opt_integer(7)?.is_none(),
            created_at: Millis::new(row.integer(8)?),
            updated_at: Millis::new(row.integer(9)?),
            previous_secret_until: row.opt_integer(6)?.map(Millis::new),
            secret: None,
        },
    })
}
