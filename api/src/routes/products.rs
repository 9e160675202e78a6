//! `/products`: the catalogue, for all to see and for admins to change.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use common::{
    catalog::{
        self, Address, CreateError, Description, EditError, ListError, ListProducts, Listing, NewProduct, Price,
        Product, ProductEdit, ProductName, ProductStatus, ProductView, SearchText, Slug, Sort, Stock, Viewer,
    },
    id::ProductId,
    page::Page,
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, de::IgnoredAny};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    cache::Key,
    extract::{
        Admin, Body, IdempotencyKey, IfMatch, IfNoneMatch, OptionalCaller, Paging, PathId, Query, whole_number,
        whole_number_not_null,
    },
    openapi::{Problems, tells},
    problem::{Invalid, Kind, Problem, kinds},
    respond::{Rendered, etag, replayed},
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(view, edit, archive))
}

/// Clients and caches may keep what anybody may see, but ask each time whether it still holds: what they have kept would come on top of
/// the age of what we keep.
const PUBLIC: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=0, must-revalidate")),
    (header::VARY, HeaderValue::from_static("authorization")),
];
/// What admins see is for them, and always from the database.
const PRIVATE: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    (header::VARY, HeaderValue::from_static("authorization")),
];

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filters {
    /// Words, or beginnings of words, that stand in a product's name or description; typing errors are forgiven.
    #[param(value_type = Option<SearchText>)]
    q: Option<String>,
    /// Those for sale, unless an administrator asks for others.
    #[param(value_type = Option<Listing>)]
    status: Option<String>,
    /// In which order; `relevance` without `q` is `newest`.
    #[param(value_type = Option<Sort>)]
    sort: Option<String>,
    /// In minor units.
    #[param(value_type = Option<Price>)]
    min_price: Option<i64>,
    /// In minor units.
    #[param(value_type = Option<Price>)]
    max_price: Option<i64>,
    /// Only what can be bought now.
    in_stock: Option<bool>,
}

impl Filters {
    fn parse(self, paging: Paging) -> Result<ListProducts, Problem> {
        let mut invalid = Invalid::default();
        let listing = invalid.field("/status", listing(self.status.as_deref()));
        let text = invalid.field("/q", self.q.as_deref().map_or(Ok(None), SearchText::parse));
        let sort = invalid.field("/sort", sort(self.sort.as_deref()));
        let min_price = invalid.optional("/min_price", self.min_price.map(Price::parse));
        let max_price = invalid.optional("/max_price", self.max_price.map(Price::parse));
        let in_stock = self.in_stock.unwrap_or(false);
        let Paging { limit, cursor } = paging;
        match (listing, text, sort, min_price, max_price) {
            (Some(listing), Some(text), Some(sort), Some(min_price), Some(max_price)) => {
                Ok(ListProducts { listing, sort, text, min_price, max_price, in_stock, limit, cursor })
            }
            _ => Err(invalid.into()),
        }
    }
}

fn listing(status: Option<&str>) -> Result<Listing, &'static str> {
    match status {
        None | Some("active") => Ok(Listing::Active),
        Some("archived") => Ok(Listing::Archived),
        Some("all") => Ok(Listing::All),
        Some(_) => Err("must be active, archived or all"),
    }
}

fn sort(sort: Option<&str>) -> Result<Sort, &'static str> {
    match sort {
        None | Some("newest") => Ok(Sort::Newest),
        Some("price") => Ok(Sort::Price),
        Some("-price") => Ok(Sort::PriceDescending),
        Some("name") => Ok(Sort::Name),
        Some("relevance") => Ok(Sort::Relevance),
        Some(_) => Err("must be newest, price, -price, name or relevance"),
    }
}

/// Products that not everybody may list.
struct Hidden;

tells! { Hidden: kinds::FORBIDDEN }

/// Products, page by page
///
/// Anybody sees those for sale. What is told to anybody may be a quarter of a second old.
#[utoipa::path(
    get, path = "/products", operation_id = "list_products", tag = "catalogue",
    params(Filters, Paging, IfNoneMatch),
    responses(
        (status = 200, description = "A page of them.", body = Page<ProductView>, headers(("ETag"))),
        (status = 304, description = "The client has it already.", headers(("ETag"))),
        Problems<Hidden>,
    ),
    security((), ("bearer" = []))
)]
async fn list(
    State(app): State<AppState>,
    caller: OptionalCaller,
    paging: Paging,
    Query(filters): Query<Filters>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let wanted = filters.parse(paging)?;
    let load = async |wanted: &ListProducts, viewer| {
        let page: Page<Product> = catalog::list(&app.catalogue, wanted).await?;
        Rendered::new(&page.map(|product| product.show(app.config.currency, &app.config.uploads.links, viewer)))
    };
    if caller.is_admin() {
        return Ok((PRIVATE, load(&wanted, Viewer::Admin).await?.unless_known(&known)).into_response());
    }
    if wanted.listing != Listing::Active {
        return Err(Problem::new(kinds::FORBIDDEN, "Only admins see products that are archived."));
    }
    let answer = app.answers.get(Key::List(wanted.clone()), || load(&wanted, Viewer::Public)).await?;
    Ok((PUBLIC, answer.unless_known(&known)).into_response())
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Cursor(error) => error.into(),
            ListError::Database(error) => error.into(),
        }
    }
}

/// A product
///
/// One that is archived is there for administrators only.
#[utoipa::path(
    get, path = "/products/{id}", operation_id = "get_product", tag = "catalogue",
    params(("id" = Slug, Path, description = "Its id or its slug."), IfNoneMatch),
    responses(
        (status = 200, description = "The product.", body = ProductView, headers(("ETag"))),
        (status = 304, description = "The client has it already.", headers(("ETag"))),
    ),
    security((), ("bearer" = []))
)]
async fn view(
    State(app): State<AppState>,
    caller: OptionalCaller,
    PathId(address): PathId<Address>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let load = async |viewer| {
        let product = catalog::view(&app.catalogue, &address, viewer).await?.ok_or_else(Problem::not_found)?;
        let etag = etag(product.id, product.version);
        Rendered::tagged(&product.show(app.config.currency, &app.config.uploads.links, viewer), etag)
    };
    if caller.is_admin() {
        return Ok((PRIVATE, load(Viewer::Admin).await?.unless_known(&known)).into_response());
    }
    let answer = app.answers.get(Key::Product(address.clone()), || load(Viewer::Public)).await?;
    Ok((PUBLIC, answer.unless_known(&known)).into_response())
}

/// A product with its entity tag, for the admin who has changed it.
fn show(app: &AppState, product: Product) -> impl IntoResponse + use<> {
    let etag = [(header::ETAG, etag(product.id, product.version))];
    (etag, Json(product.show(app.config.currency, &app.config.uploads.links, Viewer::Admin)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Creation {
    #[schema(value_type = ProductName)]
    name: String,
    /// Made from the name where there is none.
    #[schema(value_type = Option<Slug>)]
    slug: Option<String>,
    #[schema(value_type = Option<Description>)]
    description: Option<String>,
    #[schema(value_type = Price)]
    #[serde(deserialize_with = "whole_number")]
    price: i64,
    #[schema(value_type = Stock)]
    #[serde(deserialize_with = "whole_number")]
    stock: i64,
}

impl Creation {
    fn parse(self) -> Result<NewProduct, Problem> {
        let mut invalid = Invalid::default();
        let name = invalid.field("/name", ProductName::parse(&self.name));
        let slug = invalid.optional("/slug", self.slug.as_deref().map(Slug::parse));
        let description = invalid.field("/description", Description::parse(self.description.unwrap_or_default()));
        let price = invalid.field("/price", Price::parse(self.price));
        let stock = invalid.field("/stock", Stock::parse(self.stock));
        match (name, slug, description, price, stock) {
            (Some(name), Some(slug), Some(description), Some(price), Some(stock)) => {
                Ok(NewProduct { name, slug, description, price, stock })
            }
            _ => Err(invalid.into()),
        }
    }
}

/// Add a product
#[utoipa::path(
    post, path = "/products", operation_id = "create_product", tag = "catalogue",
    params(IdempotencyKey),
    request_body = Creation,
    responses(
        (
            status = 201, description = "The product.", body = ProductView,
            headers(("ETag"), ("Location"), ("Idempotency-Replayed")),
        ),
        Problems<CreateError>,
    ),
    security(("bearer" = ["admin"]))
)]
async fn create(
    State(app): State<AppState>,
    Admin(admin): Admin,
    key: IdempotencyKey,
    body: Body<Creation>,
) -> Result<impl IntoResponse, Problem> {
    let new = body.value.parse()?;
    let created = catalog::create(&app.pool, admin.id, &new, key.request(&body.raw).as_ref()).await?;
    app.answers.forget();
    let location = [(header::LOCATION, format!("/products/{}", created.product.id))];
    Ok((StatusCode::CREATED, location, replayed(created.replayed), show(&app, created.product)))
}

const SLUG_TAKEN: Kind = Kind::new(StatusCode::CONFLICT, "slug_taken", "Another product has this slug");

fn slug_taken() -> Problem {
    Problem::new(SLUG_TAKEN, "Choose another slug, or give none for a new product to have one made from its name.")
}

tells! { CreateError: SLUG_TAKEN }

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::SlugTaken => slug_taken(),
            CreateError::Claim(error) => error.into(),
        }
    }
}

/// What PUT takes: what an admin may set and, without effect, the rest of what GET gave.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    #[schema(value_type = ProductName)]
    name: String,
    #[schema(value_type = Slug)]
    slug: String,
    #[schema(value_type = Description)]
    description: String,
    #[schema(value_type = Price)]
    #[serde(deserialize_with = "whole_number")]
    price: i64,
    status: ProductStatus,
    /// Takes `If-Match`; it is booked as an adjustment.
    #[serde(default, deserialize_with = "whole_number_not_null")]
    #[schema(value_type = Stock, required = false)]
    stock: Option<i64>,
    #[serde(rename = "id")]
    #[schema(value_type = Option<Value>)]
    _id: Option<IgnoredAny>,
    #[serde(rename = "currency")]
    #[schema(value_type = Option<Value>)]
    _currency: Option<IgnoredAny>,
    #[serde(rename = "available")]
    #[schema(value_type = Option<Value>)]
    _available: Option<IgnoredAny>,
    #[serde(rename = "images")]
    #[schema(value_type = Option<Value>)]
    _images: Option<IgnoredAny>,
    #[serde(rename = "created_at")]
    #[schema(value_type = Option<Value>)]
    _created_at: Option<IgnoredAny>,
    #[serde(rename = "updated_at")]
    #[schema(value_type = Option<Value>)]
    _updated_at: Option<IgnoredAny>,
    #[serde(rename = "version")]
    #[schema(value_type = Option<Value>)]
    _version: Option<IgnoredAny>,
}

impl Edit {
    fn parse(self) -> Result<ProductEdit, Problem> {
        let mut invalid = Invalid::default();
        let name = invalid.field("/name", ProductName::parse(&self.name));
        let slug = invalid.field("/slug", Slug::parse(&self.slug));
        let description = invalid.field("/description", Description::parse(self.description));
        let price = invalid.field("/price", Price::parse(self.price));
        let stock = invalid.optional("/stock", self.stock.map(Stock::parse));
        match (name, slug, description, price, stock) {
            (Some(name), Some(slug), Some(description), Some(price), Some(stock)) => {
                Ok(ProductEdit { name, slug, description, price, status: self.status, stock })
            }
            _ => Err(invalid.into()),
        }
    }
}

/// Change a product
///
/// What `GET` gave may be sent back as it was: members that nobody can set are without effect.
#[utoipa::path(
    put, path = "/products/{id}", operation_id = "edit_product", tag = "catalogue",
    params(("id" = ProductId, Path, description = "Its id."), IfMatch),
    request_body = Edit,
    responses((status = 200, description = "The product.", body = ProductView, headers(("ETag"))), Problems<EditError>),
    security(("bearer" = ["admin"]))
)]
async fn edit(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(id): PathId<ProductId>,
    IfMatch(precondition): IfMatch,
    body: Body<Edit>,
) -> Result<impl IntoResponse, Problem> {
    let edit = body.value.parse()?;
    let product = catalog::edit(&app.pool, admin.id, id, &edit, &precondition).await?;
    app.answers.forget();
    Ok(show(&app, product))
}

pub(super) const STOCK_RESERVED: Kind =
    Kind::new(StatusCode::CONFLICT, "stock_reserved", "More is promised to orders than would be left");

tells! {
    EditError: kinds::PRECONDITION_FAILED, kinds::PRECONDITION_REQUIRED, STOCK_RESERVED { reserved: i64 }, SLUG_TAKEN,
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        match error {
            EditError::NotFound => Self::not_found(),
            EditError::Changed => Self::new(kinds::PRECONDITION_FAILED, "Read the product again, and change that."),
            EditError::VersionRequired => Self::new(
                kinds::PRECONDITION_REQUIRED,
                "To change `stock`, send the `ETag` that was read as `If-Match`: a unit may have been sold since.",
            ),
            EditError::StockReserved { reserved } => {
                Self::new(STOCK_RESERVED, format!("`stock` can't be below {reserved}.")).with("reserved", reserved)
            }
            EditError::SlugTaken => slug_taken(),
            EditError::Database(error) => error.into(),
        }
    }
}

/// Take a product out of sale
///
/// It stays for administrators, and in orders.
#[utoipa::path(
    delete, path = "/products/{id}", operation_id = "archive_product", tag = "catalogue",
    params(("id" = ProductId, Path, description = "Its id."), IfMatch),
    responses((status = 204, description = "It is archived.")),
    security(("bearer" = ["admin"]))
)]
async fn archive(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(id): PathId<ProductId>,
    IfMatch(precondition): IfMatch,
) -> Result<StatusCode, Problem> {
    catalog::archive(&app.pool, admin.id, id, &precondition).await?;
    app.answers.forget();
    Ok(StatusCode::NO_CONTENT)
}
