// The shop and its Stripe, as `cargo dev env` names them, for tests of Stripe's own SDK. See ../with-shop.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import Stripe from 'stripe';

/** A variable of the running shop's. */
function given(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run it by tests/clients/with-shop, or eval "$(cargo dev env)" first`);
  return value;
}

export const API_URL = given('API_URL');
export const WEBHOOK_SECRET = given('STRIPE_WEBHOOK_SECRET');
export const RETURN_URL = 'https://shop.example/back';
const SECRET_KEY = given('STRIPE_SECRET_KEY');
const CONTROL_URL = given('STRIPE_CONTROL_URL');

/** Stripe's SDK, unmodified but for its base URL. */
export function sdk(key = SECRET_KEY, options = {}) {
  const base = new URL(given('STRIPE_API_BASE'));
  const address = { protocol: base.protocol.replace(':', ''), host: base.hostname, port: base.port };
  return new Stripe(key, { maxNetworkRetries: 0, telemetry: false, ...address, ...options });
}

/** An intent of nobody's order: the shop ignores its events. */
export function newIntent(stripe, params = {}, options = {}) {
  return stripe.paymentIntents.create({ amount: 1999, currency: 'usd', ...params }, options);
}

/** An intent that is paid. */
export async function paidIntent(stripe, params = {}) {
  const intent = await newIntent(stripe, params);
  return stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa', return_url: RETURN_URL });
}

/** What a call throws, which has to be an error of this class. */
export async function refusal(call, errorClass) {
  const error = await call.then(
    () => assert.fail('it was not refused'),
    (error) => error,
  );
  assert.ok(error instanceof errorClass, `${error?.constructor?.name} is no ${errorClass.name}: ${error?.stack}`);
  return error;
}

async function call(url, { method = 'GET', token, body, headers = {} } = {}) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  const who = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch(url, { method, headers: { ...type, ...who, ...headers }, ...sent });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text ? JSON.parse(text) : null };
}

/** Calls the shop; `status` is the one that its answer has to have. */
export async function shop(status, method, path, options = {}) {
  const answer = await call(`${API_URL}${path}`, { method, ...options });
  assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** Directs the simulator (dev/src/stripe/control/endpoints.md). */
export async function control(method, path, body) {
  const answer = await call(`${CONTROL_URL}${path}`, { method, body });
  assert.ok(answer.status < 300, `${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** Asks again until there is an answer, for 20 seconds at most. */
export async function until(what, ask) {
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline) {
    const found = await ask();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return assert.fail(`waited in vain: ${what}`);
}

/** Somebody new, with an order of one unit that can be paid. */
export async function orderToPay() {
  const account = { email: `sdk-${randomUUID()}@kassa.example`, password: 'a long enough password' };
  const { access_token: token } = await shop(201, 'POST', '/auth/register', { body: account });
  const { items } = await shop(200, 'GET', '/products?in_stock=true&sort=-price&limit=1');
  const line = { product_id: items[0].id, quantity: 1 };
  await shop(201, 'POST', '/cart/items', { token, body: line });
  const headers = { prefer: 'wait=10', 'idempotency-key': randomUUID() };
  const order = await shop(201, 'POST', '/checkout', { token, headers });
  return { token, order };
}

/** The shopper's order, once it has this status. */
export function orderThatIs(status, { token, order }) {
  return until(`order ${order.number} is ${status}`, async () => {
    const headers = { prefer: 'wait=5' };
    const last = await shop(200, 'GET', `/orders/${order.id}`, { token });
    if (last.status === status) return last;
    const path = `/orders/${order.id}?status_not=${last.status}`;
    const next = await shop(200, 'GET', path, { token, headers });
    return next.status === status ? next : null;
  });
}

/** The order as an operator sees it. */
export async function inspect({ order }) {
  const login = { email: given('ADMIN_EMAIL'), password: given('ADMIN_PASSWORD') };
  const { access_token: token } = await shop(200, 'POST', '/auth/login', { body: login });
  return shop(200, 'GET', `/admin/orders/${order.id}`, { token });
}
