//! Clients.

use syncline::core::{Result, async_trait, store::*};

use super::Store;
use crate::harm::Harm;

type Time = chrono::DateTime<chrono::Utc>;

#[async_trait]
impl ClientStore for Store {
    async fn put_client(&self, mut client: Client, by: Option<&str>) -> Result<Client> {
        harm!(self, PutClient, &mut client);
        if let Harm::TakesAccounts = self.harm {
            for account in &client.accounts {
                let Some(mut other) = self.own.client_of(&account.provider, &account.account_id).await? else { continue };
                if other.id != client.id {
                    other.accounts.retain(|linked| linked.account_id != account.account_id);
                    self.own.put_client(other, by).await?;
                }
            }
        }
        if let Harm::HalfPuts = self.harm {
            let bare = Client { accounts: Vec::new(), ..client.clone() };
            if self.own.client(&client.id).await?.is_none() && client.check().is_ok() {
                self.own.put_client(bare, by).await?;
            }
        }
        if let Harm::AddsAccounts = self.harm {
            let known = self.own.client(&client.id).await?.map(|known| known.accounts).unwrap_or_default();
            let more = known.into_iter().filter(|known| !client.accounts.iter().any(|given| given.account_id == known.account_id));
            client.accounts.extend(more.collect::<Vec<_>>());
        }
        self.error(self.to("put_client").put_client(client, by).await)
    }

    async fn link_account(&self, client: &str, account: ClientAccount, by: Option<&str>, at: Time) -> Result<Client> {
        if let (Harm::LinksAlone, Some(known)) = (self.harm, self.own.client(client).await?) {
            // As who read the client before the others wrote it.
            return self.own.put_client(Client { accounts: vec![account], updated_at: at, ..known }, by).await;
        }
        self.to("link_account").link_account(client, account, by, at).await
    }

    async fn unlink_account(&self, client: &str, provider: &str, account_id: &str, at: Time) -> Result<Client> {
        self.to("unlink_account").unlink_account(client, provider, account_id, at).await
    }

    async fn describe_client(&self, id: &str, facts: ClientFacts, at: Time) -> Result<(Client, bool)> {
        self.to("describe_client").describe_client(id, facts, at).await
    }

    async fn client(&self, id: &str) -> Result<Option<Client>> {
        let mut found = self.to("client").client(id).await?;
        if let Some(found) = &mut found {
            harm!(self, FoundClient, found);
        }
        Ok(found)
    }

    async fn clients(&self) -> Result<Vec<Client>> {
        let mut found = self.to("clients").clients().await?;
        harm!(self, Clients, &mut found);
        Ok(found)
    }

    async fn client_of(&self, provider: &str, account_id: &str) -> Result<Option<Client>> {
        if let Harm::ClientsOfAnyProvider = self.harm {
            return self.to("client_of").client_of("slack", account_id).await;
        }
        self.to("client_of").client_of(provider, account_id).await
    }

    async fn remove_client(&self, id: &str) -> Result<bool> {
        if let Harm::RemovesNoClient = self.harm {
            return Ok(self.own.client(id).await?.is_some());
        }
        self.to("remove_client").remove_client(id).await
    }
}
