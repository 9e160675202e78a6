//! Making a product.

use rand::Rng as _;
use sqlx::{PgConnection, PgPool};

use super::{Description, Price, Product, ProductName, Slug, Stock, store};
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db,
    id::{ProductId, UserId},
    idempotency::{Claim, ClaimError, KeyedRequest},
    inventory::{self, Movement},
};

/// What a product is made of.
#[derive(Clone, Debug)]
pub struct NewProduct {
    /// What it is called.
    pub name: ProductName,
    /// Its readable address; made from the name where it isn't given.
    pub slug: Option<Slug>,
    /// What there is to say about it.
    pub description: Description,
    /// What one costs.
    pub price: Price,
    /// How many there are.
    pub stock: Stock,
}

/// A product that was made: now, or by an earlier request with the same idempotency key.
#[derive(Clone, Debug)]
pub struct Created {
    /// The product as it is now.
    pub product: Product,
    /// Whether an earlier request made it.
    pub replayed: bool,
}

/// Why no product was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The slug that was asked for belongs to another product.
    #[error("another product has this slug")]
    SlugTaken,
    /// The idempotency key stands in the way, or the database failed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

impl From<sqlx::Error> for CreateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Claim(error.into())
    }
}

impl db::AsDatabaseError for CreateError {
    fn as_database_error(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Claim(ClaimError::Database(error)) => Some(error),
            _ => None,
        }
    }
}

/// Makes a product, and books its first stock in the ledger.
///
/// # Errors
/// See [`CreateError`].
pub async fn create(
    pool: &PgPool,
    actor: UserId,
    new: &NewProduct,
    key: Option<&KeyedRequest>,
) -> Result<Created, CreateError> {
    db::retrying(|| create_once(pool, actor, new, key)).await
}

async fn create_once(
    pool: &PgPool,
    actor: UserId,
    new: &NewProduct,
    key: Option<&KeyedRequest>,
) -> Result<Created, CreateError> {
    let mut tx = db::begin(pool).await?;
    if let Some(key) = key
        && let Claim::Replay(made) = key.claim(&mut tx, actor).await?
    {
        let product = store::by_id(&mut tx, ProductId(made)).await?.ok_or(sqlx::Error::RowNotFound)?;
        return Ok(Created { product, replayed: true });
    }
    let product = match &new.slug {
        Some(slug) => store::insert(&mut tx, new, slug).await?.ok_or(CreateError::SlugTaken)?,
        None => insert_under_free_slug(&mut tx, new).await?,
    };
    if product.stock > 0 {
        inventory::record(&mut tx, product.id, product.stock, Movement::Initial, Actor::User(actor)).await?;
    }
    let act = Act {
        action: Action::ProductCreated,
        object: Object::Product(product.id),
        before: None,
        after: Some(product.settable()),
    };
    audit::record(&mut tx, Actor::User(actor), act).await?;
    if let Some(key) = key {
        key.keep(&mut tx, actor, product.id.0).await?;
    }
    tx.commit().await?;
    Ok(Created { product, replayed: false })
}

/// `blue-mug`, `blue-mug-2` … `blue-mug-9`, then with something random, so that the hundredth mug isn't a hundred tries.
#[expect(clippy::disallowed_methods, reason = "the last way out: a random end, once the small numbers are taken")]
async fn insert_under_free_slug(tx: &mut PgConnection, new: &NewProduct) -> sqlx::Result<Product> {
    let plain = Slug::from_name(new.name.as_str());
    if let Some(product) = store::insert(tx, new, &plain).await? {
        return Ok(product);
    }
    for number in 2..10 {
        if let Some(product) = store::insert(tx, new, &plain.with_suffix(number)).await? {
            return Ok(product);
        }
    }
    let random = format!("{:012x}", rand::rng().random_range(0..1_u64 << 48));
    store::insert(tx, new, &plain.with_suffix(random)).await?.ok_or(sqlx::Error::RowNotFound)
}
