//! The catalogue: what the shop sells, for how much, and how many of it there are.
//!
//! Stock is moved here only by an operator's hand (the first count, adjustments), each time with a row in the stock ledger;
//! sales and returns belong to `inventory`.

mod archive;
mod create;
mod edit;
mod list;
mod search;
mod slug;
mod store;
mod values;

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgPool, types::Json};
use utoipa::ToSchema;

pub use archive::archive;
pub use create::{CreateError, Created, NewProduct, create};
pub use edit::{EditError, Precondition, ProductEdit, edit};
pub use list::{ListError, ListProducts, Listing, Sort, list};
pub use slug::{NotASlug, Slug};
pub use values::{
    Description, NotADescription, NotAPrice, NotAProductName, NotASearchText, NotAStock, Price, ProductName,
    SearchText, Stock,
};

use crate::{
    id::ProductId,
    images::{Image, ImageView, Links},
    money::{Currency, Money},
};

/// The channel on which it is told that products were made or changed, by whoever did it: a trigger of the table does it. What a sale
/// changes is not told.
pub const CHANGES: &str = "products";

/// Whether a product is for sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum ProductStatus {
    /// It is.
    Active,
    /// It isn't, and only admins see it; orders of it stay.
    Archived,
}

/// A product, as its row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// What it is called.
    pub name: String,
    /// Its readable address.
    pub slug: String,
    /// What there is to say about it.
    pub description: String,
    /// What one costs.
    pub price: Money,
    /// How many there are.
    pub stock: i64,
    /// How many of these are promised to orders that aren't paid yet.
    pub reserved: i64,
    /// Whether it is for sale.
    pub status: ProductStatus,
    /// Rises with every change of the row, sales among them.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its row last changed.
    pub updated_at: DateTime<Utc>,
    /// Its images, in their order, whether or not they are ready.
    pub images: Json<Vec<Image>>,
}

/// A product, as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "the fields are those of `Product`, with the currency beside the price")]
#[schema(as = Product)]
pub struct ProductView {
    pub id: ProductId,
    pub name: String,
    pub slug: String,
    pub description: String,
    pub price: Money,
    pub currency: Currency,
    pub stock: i64,
    /// What can still be bought: `stock` less what is reserved.
    pub available: i64,
    pub status: ProductStatus,
    pub images: Vec<ImageView>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

impl Product {
    /// What an admin may set of it, for the audit log.
    fn settable(&self) -> Value {
        json!({
            "name": self.name, "slug": self.slug, "description": self.description, "price": self.price,
            "status": self.status, "stock": self.stock,
        })
    }

    /// This product as this viewer sees it, in a shop with this currency, whose images are there.
    pub fn show(self, currency: Currency, links: &Links, viewer: Viewer) -> ProductView {
        ProductView {
            id: self.id,
            name: self.name,
            slug: self.slug,
            description: self.description,
            price: self.price,
            currency,
            stock: self.stock,
            available: self.stock - self.reserved,
            status: self.status,
            images: self.images.0.into_iter().filter_map(|image| image.show(links, viewer)).collect(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
        }
    }
}

/// Who looks at the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// A guest or a shopper: sees what is for sale.
    Public,
    /// An admin: sees archived products, too.
    Admin,
}

/// What leads to a product: its id or its slug.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// Its id, for ever.
    Id(ProductId),
    /// Its slug, which may become another's.
    Slug(Slug),
}

impl FromStr for Address {
    type Err = NotASlug;

    fn from_str(raw: &str) -> Result<Self, NotASlug> {
        raw.parse().map(Self::Id).or_else(|_| Slug::parse(raw).map(Self::Slug))
    }
}

/// The product with this id or slug, if this viewer may see it.
///
/// # Errors
/// The database's.
pub async fn view(pool: &PgPool, address: &Address, viewer: Viewer) -> sqlx::Result<Option<Product>> {
    let mut connection = pool.acquire().await?;
    let found = match address {
        Address::Id(id) => store::by_id(&mut connection, *id).await?,
        Address::Slug(slug) => store::by_slug(&mut connection, slug).await?,
    };
    Ok(found.filter(|product| product.status == ProductStatus::Active || viewer == Viewer::Admin))
}
