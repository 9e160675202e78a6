//! Prints the OpenAPI document of the API, for `.ci/openapi`.

fn main() {
    print!("{}", api::openapi::text());
}
